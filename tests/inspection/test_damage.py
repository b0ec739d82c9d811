"""Every kind of damage: refused before training with its file, left out where asked for, and reported."""

import csv
import io
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from taf_keras import check as check_command
from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import Clip, FilePart, Frame, Split
from taf_keras.config import Config, DataConfig, RuntimeConfig
from taf_keras.datasets.camvid import CLASSES
from taf_keras.datasets.load import load_split
from taf_keras.errors import BadFileError, UserError
from taf_keras.inspection.check import check_split, load_checked
from taf_keras.inspection.data_report import survey
from taf_keras.inspection.data_tables import csv_text, text

KEY = "0001TP_006750"  # the clip whose files are damaged; all of CamVid's tree is 48×64 px
IMAGE, LABEL = f"train/{KEY}.png", f"trainannot/{KEY}.png"
NEIGHBOUR = "frames/0001TP/006691.jpg"
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (48, 64), np.uint8)
RGB = RNG.integers(0, 256, (48, 64, 3), np.uint8)
IDS = RNG.integers(0, 12, (48, 64), np.uint8)
GREYS = [channel for level in range(256) for channel in (level, level, level)]  # a palette


# --- Files with faults ---


def png(pixels, **options) -> bytes:
    return _saved(Image.fromarray(pixels), "PNG", **options)


def jpeg(pixels=RGB, **options) -> bytes:
    return _saved(Image.fromarray(pixels), "JPEG", **options)


def _saved(image: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def palette(pixels) -> bytes:
    image = Image.fromarray(pixels, "L").convert("P")
    image.putpalette(GREYS)
    return _saved(image, "PNG")


def png16(pixels) -> bytes:
    return cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes()


def turned(form: str) -> bytes:
    """A picture to be shown turned by 90°, of the height and width of the others then."""
    orientation = Image.Exif()
    orientation[0x0112] = 6
    return _saved(Image.fromarray(RGB.swapaxes(0, 1).copy()), form, exif=orientation)


def tiff(pixels) -> bytes:
    """As OpenCV writes it: the description of the pixels comes last."""
    channels = [2, 1, 0, 3][: pixels.shape[2]] if pixels.ndim == 3 else slice(None)
    return cv2.imencode(".tiff", pixels[..., channels])[1].tobytes()


def huge() -> bytes:
    """A PNG that promises 200 000 × 200 000 px and holds a few."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes, begin: int) -> bytes:
    """Eight bytes changed."""
    return data[:begin] + bytes(byte ^ 0x5A for byte in data[begin : begin + 8]) + data[begin + 8 :]


def middle_flipped(data: bytes) -> bytes:
    return flipped(data, len(data) // 2)


def holding(path: str, data: bytes) -> Callable[[Path], None]:
    """The damage: the file at `path` holds `data`."""
    return lambda root: _write(root / path, data)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def link(path: str) -> Callable[[Path], None]:
    """The damage: a link to a file that is not there."""

    def damage(root: Path) -> None:
        (root / path).unlink()
        (root / path).symlink_to("nowhere.png")

    return damage


def folder(path: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        (root / path).unlink()
        (root / path).mkdir()

    return damage


def locked(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).chmod(0)


def removed(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def copied(path: str, copy: str) -> Callable[[Path], None]:
    return lambda root: _write(root / copy, (root / path).read_bytes())


def both(*damages: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        for one in damages:
            one(root)

    return damage


# --- Kinds of damage ---


@dataclass(frozen=True)
class Kind:
    """A damage, and what must become of it.

    Attributes:
        file: what is named as bad, below the data set's folder.
        reason: what is said of it.
        lost: clips that cannot be used any more.
        gone: images that no clip shows any more.
        hidden: decoding alone finds it.
        layouts: in which it may occur; CamVid's alone where the fault lies in the names.
    """

    name: str
    damage: Callable[[Path], None]
    file: str
    reason: str
    lost: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    hidden: bool = False
    layouts: tuple[str, ...] = ("camvid", "manifest")


def image(name: str, data: bytes, reason: str, **options) -> Kind:
    return Kind(f"image {name}", holding(IMAGE, data), IMAGE, reason, (KEY,), (IMAGE,), **options)


def label(name: str, data: bytes, reason: str) -> Kind:
    """The label of a key frame is bad; its image stays a partner of others."""
    return Kind(f"label {name}", holding(LABEL, data), LABEL, reason, (KEY,))


def neighbour(name: str, data: bytes, reason: str, **options) -> Kind:
    return Kind(f"neighbour {name}", holding(NEIGHBOUR, data), NEIGHBOUR, reason, (), (NEIGHBOUR,), **options)


def names(name: str, damage, file: str, reason: str, lost=(), gone=()) -> Kind:
    return Kind(name, damage, file, reason, lost, gone, layouts=("camvid",))


UNREADABLE = "is not a readable image"
NO_FILE = "is a link to a file that does not exist"
SHAPE = "must have one 8-bit channel, or the classes' colours, not shape 48x64x4"

KINDS = [
    image("of no bytes", b"", r"is not a readable image \(0 bytes\)"),
    image("that is text", b"not an image\n", UNREADABLE),
    image("that is a PNG cut short", half(png(RGB)), "it was cut short"),
    image("that is a JPEG cut short", half(jpeg()), "it was cut short"),
    image("with a damaged signature", flipped(png(RGB), 0), UNREADABLE),
    image("with a damaged header", flipped(png(RGB), 12), UNREADABLE),
    image("of 16 bits, grey", png16(GREY), "has 16 bits per channel; frames must be 8-bit RGB"),
    image("of 16 bits, RGB", png16(RGB), "has 16 bits per channel; frames must be 8-bit RGB"),
    image("of 16 bits, TIFF", tiff(RGB.astype(np.uint16)), "has 16 bits per channel; frames must be 8-bit"),
    image("of floats", tiff(GREY.astype(np.float32)), "has values of float32; frames must be 8-bit RGB"),
    image("with alpha", png(np.dstack([RGB, GREY])), "has an alpha channel that varies; frames must be"),
    image("of grey with alpha", png(np.dstack([GREY, GREY])), "has an alpha channel that varies"),
    image("with alpha, TIFF", tiff(np.dstack([RGB, GREY])), "has an alpha channel that varies"),
    image("see-through, TIFF", tiff(np.dstack([RGB, GREY * 0 + 7])), "has an alpha channel below 255"),
    image("with a palette", palette(GREY), "has a palette"),
    image("that is CMYK", _saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"), "has mode CMYK"),
    image("to be turned, WebP", turned("WEBP"), "has Exif orientation 6; .* must be stored upright in WEBP"),
    image("of absurd size", huge(), UNREADABLE),
    image("PNG damaged within", middle_flipped(png(RGB)), UNREADABLE, hidden=True),
    image("JPEG damaged within", middle_flipped(jpeg()), "is damaged: Corrupt JPEG data", hidden=True),
    Kind("image that links to nowhere", link(IMAGE), IMAGE, NO_FILE, (KEY,), (IMAGE,)),
    Kind("image that is a folder", folder(IMAGE), IMAGE, "cannot be read: Is a directory", (KEY,), (IMAGE,)),
    Kind("image without permission", locked(IMAGE), IMAGE, "cannot be read: Perm", (KEY,), (IMAGE,)),
    label("of no bytes", b"", r"is not a readable image \(0 bytes\)"),
    label("that is text", b"not an image\n", UNREADABLE),
    label("cut short", half(png(IDS)), UNREADABLE),
    label("damaged within", middle_flipped(png(IDS)), UNREADABLE),
    label("of absurd size", huge(), UNREADABLE),
    label("of another size", png(IDS[:24, :32]), "label map of 24x32 px, its image has 48x64 px"),
    label("turned by 90°", png(IDS.T.copy()), "label map of 64x48 px, its image has 48x64 px"),
    label("that is JPEG", jpeg(IDS * 0), "a label map cannot be JPEG"),
    label("of 1 bit, and of another size", _saved(Image.fromarray(IDS[:24, :32] > 3), "PNG"), "of 24x32 px"),
    label("of 16 bits", png16(IDS), "must have one 8-bit channel, .* not shape 48x64 of uint16"),
    label("with alpha", png(np.dstack([IDS] * 4)), SHAPE),
    label("that is see-through", png(np.dstack([IDS, IDS * 0 + 7])), SHAPE),
    label("with a palette", palette(IDS + 100), "label id 100, .* is not in the class table"),
    label("that is a photograph", png(RGB), "label colour .* is not in the class table"),
    label("with an unknown id", png(np.where(IDS == 3, 77, IDS).astype(np.uint8)), "label id 77 is not in"),
    label("void everywhere", png(np.full_like(IDS, 11)), "label map is void everywhere"),
    Kind("label that links to nowhere", link(LABEL), LABEL, NO_FILE, (KEY,)),
    Kind("label that is a folder", folder(LABEL), LABEL, "cannot be read: Is a directory", (KEY,)),
    Kind("label without permission", locked(LABEL), LABEL, "cannot be read: Permission denied", (KEY,)),
    neighbour("of no bytes", b"", r"is not a readable image \(0 bytes\)"),
    neighbour("that is text", b"not an image\n", UNREADABLE),
    neighbour("cut short", half(jpeg()), "it was cut short"),
    neighbour(
        "of another size", jpeg(RGB[:40]), "frame of 40x64 px, its key frame has 48x64 px: give --image"
    ),
    neighbour("damaged within", middle_flipped(jpeg()), "is damaged: Corrupt JPEG data", hidden=True),
    Kind("neighbour that links to nowhere", link(NEIGHBOUR), NEIGHBOUR, NO_FILE, (), (NEIGHBOUR,)),
    Kind(
        "neighbour that is a folder", folder(NEIGHBOUR), NEIGHBOUR, "cannot be read: Is a", (), (NEIGHBOUR,)
    ),
    names("no image", removed(IMAGE), LABEL, "label map without an image in", (KEY,), (IMAGE,)),
    names("no label", removed(LABEL), IMAGE, "has no label map", (KEY,), (IMAGE,)),
    names(
        "a number written in two ways",
        both(copied(IMAGE, "train/0001TP_06750.png"), copied(LABEL, "trainannot/0001TP_06750.png")),
        "train/0001TP_06750.png",
        "frame 6750 of video 0001TP occurs twice",
    ),
    names(
        "an image in two formats",
        holding("train/0001TP_006750.jpg", jpeg()),
        IMAGE,  # .jpg comes first
        "frame 6750 of video 0001TP occurs twice",
    ),
    names(
        "two label maps of an image",
        copied(LABEL, f"trainannot/{KEY}_L.png"),
        f"trainannot/{KEY}_L.png",
        rf"label map of the same image as {KEY}\.png",
    ),
    names(
        "a label map of 32 colours with another",
        both(removed(LABEL), holding(f"trainannot/{KEY}_L.png", png(np.full_like(RGB, (1, 2, 3))))),
        f"trainannot/{KEY}_L.png",
        "label colour 1/2/3 .* is not in the class table",
        (KEY,),
    ),
    names(
        "a name without a number",
        both(copied(IMAGE, "train/holiday.png"), copied(LABEL, "trainannot/holiday.png")),
        "train/holiday.png",
        "a CamVid file name is VIDEO_NUMBER",
    ),
    names(
        "an extracted frame without a number",
        holding("frames/0001TP/frame.jpg", jpeg()),
        "frames/0001TP/frame.jpg",
        "the name of an extracted frame is its number",
    ),
    names(
        "an extracted frame twice",
        holding("frames/0001TP/6691.jpg", jpeg()),
        "frames/0001TP/6691.jpg",  # 006691.jpg comes first
        "frame 6691 occurs twice",
    ),
    names(
        "a key frame without a partner",
        both(holding("train/0006R0_f00930.png", png(RGB)), holding("trainannot/0006R0_f00930.png", png(IDS))),
        "train/0006R0_f00930.png",
        "key frame without a partner within ±30 frames: give a larger --temporal_context",
    ),
]


every_kind = pytest.mark.parametrize(
    ("kind", "layout"),
    [
        pytest.param(kind, layout, id=f"{layout}-{kind.name}".replace(" ", "_"))
        for kind in KINDS
        for layout in kind.layouts
    ],
)


@pytest.fixture
def tree(camvid) -> Path:
    """Five key frames of two videos, and three neighbours of the first."""
    for number in (6691, 6692, 6700):
        _write(camvid / f"frames/0001TP/{number:06d}.jpg", jpeg())
    return camvid


@pytest.fixture
def data(layout, tree) -> DataConfig:
    """The same files as CamVid in SegNet's layout, or as a data set of one's own."""
    data = DataConfig("camvid", str(tree), temporal_context=30)
    if layout == "manifest":
        classes = [{"name": str(i), "colour": [i, i, i]} for i in range(11)]
        (tree / "classes.json").write_text(json.dumps({"classes": classes, "void": 11}), encoding="utf-8")
        for split in ("train", "val"):
            (tree / f"{split}.csv").write_text(manifest(load_split(data, split), tree), encoding="utf-8")
        data = replace(data, dataset="manifest")
    return data


def manifest(split: Split, root: Path) -> str:
    rows = {}
    for clip in split.clips:
        for frame in clip.frames:
            files = (os.path.relpath(file, root) if file else "" for file in (frame.image, frame.label))
            rows[clip.video, frame.number] = ",".join([clip.video, str(frame.number), *files])
    return "\n".join(["clip,frame,image,label", *(rows[key] for key in sorted(rows))])


def do(kind: Kind, data: DataConfig) -> Path:
    """Does the damage. Returns: the bad file."""
    if "permission" in kind.name and os.geteuid() == 0:
        pytest.skip("root may read everything")
    kind.damage(Path(data.data_dir))
    return Path(data.data_dir) / kind.file


def checked(data: DataConfig, thorough: bool = False, partners_within: int = 30) -> Split:
    """The training split, as training gets it unless `thorough`."""
    if not thorough:
        return load_checked(data, "train", partners_within)
    bad = BadFiles(data.on_bad_file)
    return check_split(load_split(data, "train", bad=bad), None, partners_within, bad, thorough=True)


def shown(split: Split) -> dict[str, list[str]]:
    """Clip -> the names of its images."""
    return {clip.name: [Path(frame.image).stem for frame in clip.frames] for clip in split.clips}


@every_kind
def test_refused_before_training(kind, data):
    file = do(kind, data)
    if kind.hidden:
        checked(data)
    with pytest.raises(BadFileError, match=kind.reason) as caught:
        checked(data, kind.hidden)
    assert caught.value.file == str(file)
    assert str(caught.value) == f"{file}: {caught.value.reason}"
    assert "\n" not in str(caught.value)


@every_kind
def test_left_out_and_counted_and_nothing_else_is(kind, data):
    before = shown(checked(data))
    file = do(kind, data)
    split = checked(replace(data, on_bad_file="skip"), kind.hidden)
    assert [error.file for error in split.left_out] == [str(file)]
    gone = {Path(name).stem for name in kind.gone}
    assert shown(split) == {
        clip: [image for image in images if image not in gone]
        for clip, images in before.items()
        if clip not in kind.lost
    }


@every_kind
def test_reported(kind, data):
    file = do(kind, data)
    report = survey(data, "taf", threads=1)
    train, val = report.splits
    assert [error.file for error in train.bad] == [str(file)]
    assert val.bad == ()
    assert report.refusal.startswith(str(train.bad[0]))
    for written in (text(report), csv_text(report)):
        assert str(file) in written
        assert train.bad[0].reason in written


def test_there_are_many_kinds():
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 50


# --- Several at once, and what is no damage ---


@pytest.fixture
def layout() -> str:
    return "camvid"


def test_every_bad_file_is_listed_at_once(data):
    root = Path(data.data_dir)
    of_a_lost_clip = "frames/0001TP/006779.jpg"  # 29 from 6750, and in no other window
    files = [IMAGE, LABEL, NEIGHBOUR, of_a_lost_clip, "val/0016E5_07959.png"]
    for file in files:
        _write(root / file, b"")
    report = survey(data, "taf", threads=1)
    listed = [error.file for split in report.splits for error in split.bad]
    assert sorted(listed) == sorted(str(root / file) for file in files)
    assert "the first of 5 bad files" in report.refusal


def test_training_refuses_what_the_report_says(data, tmp_path):
    """`train` itself, which looks at files before it imports TensorFlow."""
    from taf_keras.training.run import train

    _write(Path(data.data_dir) / "val/0016E5_07959.png", b"")
    run = tmp_path / "run"
    with pytest.raises(BadFileError) as caught:
        train(Config(data=data, runtime=RuntimeConfig(model_dir=str(run))))
    assert survey(data, "taf", threads=1).refusal.startswith(str(caught.value))
    assert not run.exists()


def test_a_baseline_does_not_look_at_neighbours(data):
    (Path(data.data_dir) / NEIGHBOUR).write_bytes(b"")
    assert len(checked(data, partners_within=0).clips) == 5
    assert survey(data, "baseline", threads=1).refusal is None
    assert survey(data, "taf", threads=1).refusal


def test_a_key_frame_alone_serves_a_baseline(data):
    context_of_one = replace(data, temporal_context=1)  # Seq05VD has no neighbours so near
    assert survey(context_of_one, "baseline", threads=1).refusal is None
    alone = survey(context_of_one, "taf", threads=1).splits[0].bad
    assert {Path(error.file).stem for error in alone} == {
        "0001TP_006720",
        "0001TP_006750",
        "Seq05VD_f00000",
        "Seq05VD_f00030",
    }


def test_skip_does_not_promise_what_training_cannot_see(data):
    """Training looks at ends alone, so that it would not leave this image out, and fail when it draws it."""
    _write(Path(data.data_dir) / IMAGE, middle_flipped(png(RGB)))
    skip = replace(data, on_bad_file="skip")
    report = survey(skip, "taf", threads=1)
    assert report.refusal.startswith(str(Path(data.data_dir) / IMAGE))
    assert report.refusal.endswith("training would find that too late to leave it out: replace or remove it")
    assert survey(skip, "taf", thorough=False, threads=1).refusal is None


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("annot", ["", "annot"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_folder_that_is_missing_or_empty(data, split, annot, empty):
    place = Path(data.data_dir) / f"{split}{annot}"
    shutil.rmtree(place)
    if empty:
        place.mkdir()
    reason = f"{place}: {'holds no images' if empty else 'no such folder'}"
    for choice in ("refuse", "skip"):
        report = survey(replace(data, on_bad_file=choice), "taf", threads=1)
        assert report.refusal.startswith(reason)
        with pytest.raises(UserError, match=reason):
            load_checked(data, split)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("folder", ["train", "valannot", "frames/0001TP"])
def test_a_folder_without_permission(data, folder):
    place = Path(data.data_dir) / folder
    place.chmod(0)
    try:
        assert survey(data, "taf", threads=1).refusal == f"{place}: cannot be read: Permission denied"
    finally:
        place.chmod(0o700)  # so that it can be removed


def test_nothing_is_left(data):
    for path in (Path(data.data_dir) / "train").iterdir():
        path.write_bytes(b"")
    report = survey(replace(data, on_bad_file="skip"), "taf", threads=1)
    assert report.refusal.startswith("split train: no clip is left, ")
    assert len(report.splits[0].bad) == 5
    assert "train cannot be used: split train: no clip is left" in text(report)


def test_key_frames_of_several_sizes_are_shown(data):
    for file in (IMAGE, LABEL):
        path = str(Path(data.data_dir) / file)
        cv2.imwrite(path, cv2.imread(path, cv2.IMREAD_UNCHANGED)[:24])
    report = survey(data, "baseline", threads=1)
    assert "several sizes, 48x64 (0001TP_006690) and 24x64 (0001TP_006750)" in report.refusal
    assert report.splits[0].values("size") == {"48x64": 4, "24x64": 1}
    assert survey(replace(data, image_size=(48, 64)), "baseline", threads=1).refusal is None


@pytest.mark.parametrize(
    "names",
    [
        ("Straße bei Nacht_00001.png", "Straße bei Nacht_00001.png"),
        ("日本 語_f00001.png", "日本 語_f00001_L.png"),
        ("0006R0_f00930.PNG", "0006R0_f00930.png"),
        ("0006R0_f00930.Jpeg", "0006R0_f00930.PNG"),
        ("a,b\"c;'=_1.png", "a,b\"c;'=_1.png"),
    ],
)
def test_unusual_names_work(data, names):
    image, label = names
    root = Path(data.data_dir)
    _write(root / "train" / image, jpeg() if image.endswith("Jpeg") else png(RGB))
    _write(root / "trainannot" / label, png(IDS))
    report = survey(data, "baseline", threads=1)
    assert report.refusal is None
    assert len(report.splits[0].clips) == 6
    assert any(str(clip.key_frame.image).endswith(image) for clip in report.splits[0].clips)
    (root / "train" / image).write_bytes(b"")
    rows = list(csv.DictReader(io.StringIO(csv_text(survey(data, "baseline", threads=1)))))
    assert [row["item"] for row in rows if row["kind"] == "bad_file"] == [str(root / "train" / image)]


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(png(np.dstack([RGB, np.full_like(GREY, 255)])), id="opaque"),
        pytest.param(png(np.dstack([RGB, np.full_like(GREY, 0)])), id="see-through"),
        pytest.param(png(np.dstack([GREY, np.full_like(GREY, 7)])), id="grey"),
        pytest.param(tiff(np.dstack([RGB, np.full_like(GREY, 255)])), id="tiff"),
        pytest.param(turned("JPEG"), id="turned-jpeg"),
        pytest.param(turned("PNG"), id="turned-png"),
        pytest.param(turned("TIFF"), id="turned-tiff"),
    ],
)
@pytest.mark.parametrize("layout", ["camvid", "manifest"])
def test_what_reads_without_loss_is_no_damage(data, picture):
    """Every image has it: key frames, whose label maps fit, and partners; a JPEG may be called .png."""
    root = Path(data.data_dir)
    for file in [*root.glob("train/*"), *root.glob("val/*"), *root.glob("frames/*/*")]:
        file.write_bytes(picture)
    report = survey(data, "taf", threads=1)
    assert report.refusal is None
    assert report.splits[0].values("size") == {"48x64": 8}


@pytest.mark.parametrize("layout", ["manifest"])
def test_a_label_map_of_a_turned_image_is_painted_on_the_turned_view(data, capsys):
    """The whole command: the label map has the size of the picture as it is shown, not as it is stored."""
    root = Path(data.data_dir)
    _write(root / IMAGE, turned("JPEG"))
    arguments = ["--dataset=manifest", f"--data_dir={root}", "--method=baseline"]
    for ids, code, line in (
        (IDS, 0, "training would start"),
        (
            IDS.T.copy(),
            2,
            f"training would not start: {root / LABEL}: label map of 64x48 px, its image has 48x64 px",
        ),
    ):
        _write(root / LABEL, png(ids))
        exit_code = 0
        try:
            check_command.main(arguments)
        except SystemExit as ended:
            exit_code = ended.code
        assert exit_code == code
        assert capsys.readouterr().out.splitlines()[-1].startswith(line)


def test_label_maps_of_one_image_are_all_looked_at(data):
    """Two rows of a list may name the same image with a label map each."""
    root = Path(data.data_dir)
    split = load_split(data, "train")
    clip = split.clips[2]
    other = str(root / "trainannot" / "other.png")
    frame = replace(clip.key_frame, label=other)
    copy = replace(clip, name="copy", frames=(frame,))
    _write(Path(other), b"")
    for clips in (clip, copy), (copy, clip):
        with pytest.raises(BadFileError, match=r"other\.png: is not a readable image"):
            check_split(replace(split, clips=clips))


@pytest.mark.parametrize("order", [1, -1])
def test_every_copy_in_a_packed_data_set_is_looked_at(tmp_path, order):
    """Clips that overlap each have their own copy of a frame, of the same name."""
    shard, image = tmp_path / "train-00000.tfrecord", png(RGB)
    shard.write_bytes(image + half(image))
    whole, broken = (FilePart("a.png", str(shard), i * len(image), len(image) // (i + 1)) for i in (0, 1))
    clips = tuple(Clip(f"c{i}", (Frame(1, part, IDS),), 1) for i, part in enumerate((whole, broken)))
    split = Split("train", clips[::order], CLASSES)
    bad = BadFiles("skip")
    assert [clip.name for clip in check_split(split, bad=bad).clips] == ["c0"]
    assert str(bad.found[0]) == f"{shard} (a.png): is not a readable image: it was cut short"


@pytest.mark.parametrize("layout", ["manifest"])
def test_a_bad_row_of_a_list_is_a_bad_file(data):
    path = Path(data.data_dir) / "train.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2] = "0001TP,soon,train/0001TP_006690.png,"
    path.write_text("\n".join(lines), encoding="utf-8")
    report = survey(data, "taf", threads=1)
    assert [error.file for error in report.splits[0].bad] == [f"{path}:3"]
    assert report.refusal.startswith(f"{path}:3: ")
    assert survey(replace(data, on_bad_file="skip"), "taf", threads=1).refusal is None
