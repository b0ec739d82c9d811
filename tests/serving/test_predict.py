"""The predict command on a model whose classes are the strongest of red, green and blue."""

import os
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

from taf_keras.clips.clip import ClassTable
from taf_keras.clips.decode import read_image
from taf_keras.clips.image_files import inspect_image
from taf_keras.errors import BadFileError
from taf_keras.predict import main
from taf_keras.serving.export import export_model
from taf_keras.serving.frame_source import Selection

CLASSES = ClassTable(("red", "green", "blue"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    image = keras.Input((None, None, 3))
    folder = tmp_path_factory.mktemp("model") / "export"
    export_model(keras.Model(image, keras.layers.Identity()(image)), CLASSES, folder)
    return folder


@pytest.fixture
def run(model, tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder. Returns: its exit code, the lines of stdout and of stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, model=model):
        code = 0
        try:
            main([f"--model={model}", *map(str, arguments)])
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


def picture(size=(6, 9)) -> np.ndarray:
    return RNG.integers(0, 256, (*size, 3), np.uint8)


def save(path: str, pixels=None) -> np.ndarray:
    """Writes RGB pixels without loss, or as JPEG. Returns: the pixels that are read from the file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(path, (picture() if pixels is None else pixels)[..., ::-1])
    return cv2.imread(path)[..., ::-1]


def written(folder=".") -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def labels(path: str) -> np.ndarray:
    return cv2.imread(path, cv2.IMREAD_UNCHANGED)


def results(*names: str) -> set[str]:
    return {f"{name}_{result}.png" for name in names for result in ("labels", "overlay")}


# --- Names ------------------------------------------------------------------------------------------


def test_images_of_one_folder_are_called_by_their_stems(run):
    pixels = {stem: save(f"in/{stem}.png") for stem in "ab"}
    code, out, err = run("in", "--output_dir=out")
    assert (code, err) == (0, [])
    assert out[-1] == "wrote 4 files to out, such as b_overlay.png"
    assert written("out") == results("a", "b")
    for stem, image in pixels.items():
        np.testing.assert_array_equal(labels(f"out/{stem}_labels.png"), image.argmax(-1))
        overlay = cv2.imread(f"out/{stem}_overlay.png")[..., ::-1].astype(int)
        colours = np.eye(3)[image.argmax(-1)] * 255
        assert np.abs(overlay - (image + colours) / 2).max() <= 1


@pytest.mark.parametrize("as_files", [True, False])
@pytest.mark.parametrize("place", ["frames", ".", "a/b"])
def test_images_of_several_folders_keep_their_folders(run, as_files, place):
    folders = [f"{place}/VIDEO1", f"{place}/VIDEO2", f"{place}/night/VIDEO1"]
    files = [f"{folder}/{number}.jpg" for folder in folders for number in ("000001", "000002")]
    pixels = {file: save(file) for file in files}
    code, out, err = run(*(files if as_files else folders), "--output_dir=out")
    assert (code, err) == (0, [])
    assert "wrote 12 files" in out[-1]
    assert written("out") == results(*(os.path.relpath(file, place).removesuffix(".jpg") for file in files))
    for file, image in pixels.items():
        name = os.path.relpath(file, place).removesuffix(".jpg")
        np.testing.assert_array_equal(labels(f"out/{name}_labels.png"), image.argmax(-1))


def test_images_that_differ_in_the_suffix_keep_it(run):
    jpg, png = save("in/a.jpg"), save("in/a.png")
    save("in/b.png")
    assert run("in", "--output_dir=out")[0] == 0
    assert written("out") == results("a.jpg", "a.png", "b")
    np.testing.assert_array_equal(labels("out/a.jpg_labels.png"), jpg.argmax(-1))
    np.testing.assert_array_equal(labels("out/a.png_labels.png"), png.argmax(-1))


def test_names_that_still_collide_are_refused_before_anything_is_written(run):
    for name in ("a.jpg", "a.png", "a.png.bmp"):
        save(f"in/{name}")
    code, out, err = run("in", "--output_dir=out")
    assert (code, out) == (2, [])
    assert err == ["error: in/a.png.bmp: would get the result a.png_labels.png, as in/a.png does: rename one"]
    assert not Path("out").exists()


def test_an_image_that_is_named_twice_is_segmented_once(run):
    save("in/a.png")
    _, out, _ = run("in", "./in/a.png", "in/../in/a.png", "--output_dir=out")
    assert out[-1].startswith("wrote 2 files")
    assert written("out") == results("a")


# --- Inputs and earlier results -----------------------------------------------------------------------


@pytest.mark.parametrize("expanded", [True, False])
@pytest.mark.parametrize("output", ["in", "in/predictions"])
def test_results_are_not_taken_for_images(run, output, expanded):
    """`expanded`: the shell has written in/* out, which names results too."""
    for name in ("a.png", "b.jpg"):
        save(f"in/{name}")
    images = {file: Path("in", file).read_bytes() for file in written("in")}
    assert run("in", f"--output_dir={output}")[0] == 0
    first = written("in")
    sources = sorted(map(str, Path("in").glob("*"))) if expanded else ["in"]
    code, out, err = run(*sources, f"--output_dir={output}")
    assert (code, err) == (0, [])
    assert out[-1].startswith(f"wrote 4 files to {output}, such as b_overlay.png; skipped ")
    assert out[-1].endswith("1 folder" if output != "in" and not expanded else "4 earlier predictions")
    assert written("in") == first
    assert {file: Path("in", file).read_bytes() for file in images} == images


def test_a_label_map_with_the_name_of_a_result_is_an_image_and_is_kept(run):
    save("in/a.png")
    save("in/a_labels.png")
    code, _, err = run("in", "--output_dir=in")
    assert code == 2
    assert err == [
        "error: in/a_labels.png: would be replaced, and is no prediction: give another --output_dir"
    ]
    assert written() == {"in/a.png", "in/a_labels.png"}
    assert run("in", "--output_dir=out")[0] == 0
    assert written("out") == results("a", "a_labels")
    assert run("in/a.png", "--output_dir=in")[0] == 2  # nor if it is no input of this run


def test_earlier_results_alone_are_refused(run):
    save("in/a.png")
    run("in", "--output_dir=out")
    code, _, err = run("out", "--output_dir=again")
    assert code == 2
    assert err == ["error: out/a_labels.png: is an earlier prediction, and nothing else is there"]


def test_results_are_whole_pngs(run):
    save("in/a.png")
    run("in", "--output_dir=out")
    with Image.open("out/a_labels.png") as image:
        assert (image.mode, image.size) == ("L", (9, 6))
        assert image.info == {"Software": "taf_keras.serving.predict"}
        image.verify()  # its checksums


# --- Broken files -------------------------------------------------------------------------------------


def test_a_broken_file_does_not_stop_a_folder(run):
    for name in ("a.png", "c.png", "e.png"):
        save(f"in/{name}")
    whole = Path("in/a.png").read_bytes()
    Path("in/b.png").write_bytes(whole[: len(whole) // 2])
    Path("in/d.jpg").touch()
    Path("in/f.png").symlink_to("nowhere")
    code, out, err = run("in", "--output_dir=out")
    assert code == 1
    assert err == [
        "not segmented: in/b.png: is not a readable image: it was cut short",
        "not segmented: in/d.jpg: is not a readable image (0 bytes)",
        "not segmented: in/f.png: is a link to a file that does not exist",
    ]
    assert out[-1] == "wrote 6 files to out, such as e_overlay.png; 3 images not segmented"
    assert written("out") == results("a", "c", "e")


def test_nothing_but_broken_files(run):
    Path("a.png").touch()
    code, out, err = run("a.png", "--output_dir=out")
    assert code == 2
    assert err == [
        "not segmented: a.png: is not a readable image (0 bytes)",
        "error: nothing was segmented: 1 image could not be read",
    ]
    assert not any("wrote" in line for line in out)
    assert written("out") == set()


def test_an_interruption_has_a_code_of_its_own(run, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    save("a.png")
    monkeypatch.setattr("taf_keras.serving.image_prediction.read_checked_image", interrupted)
    assert run("a.png")[::2] == (130, ["interrupted"])


# --- What is taken ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["tif", "TIFF", "bmp", "dib", "webp", "ppm", "jpe", "PNG", "sr", "ras"])
def test_formats_of_opencv_are_taken_from_folders(run, suffix):
    image = save(f"in/a.{suffix}")
    code, out, err = run("in", "--output_dir=out")
    assert (code, err, out[-1]) == (0, [], "wrote 2 files to out, such as a_overlay.png")
    np.testing.assert_array_equal(labels("out/a_labels.png"), image.argmax(-1))


def test_what_is_skipped_in_a_folder_is_counted(run):
    for name in ("a.png", "._a.png", "below/b.png", "png.png/c.png"):
        save(f"in/{name}")
    for name in ("notes.txt", "list.csv"):
        Path("in", name).touch()
    code, out, _ = run("in", "--output_dir=out")
    assert code == 0
    assert out[-1] == "wrote 2 files to out, such as a_overlay.png; skipped 3 other files, 2 folders"


def test_a_folder_of_folders_is_refused(run):
    save("in/VIDEO1/a.png")
    code, _, err = run("in")
    assert code == 2
    assert err == [
        "error: in: holds no images or videos; the folders in it, such as in/VIDEO1, are not searched: "
        "name them"
    ]


def test_images_of_ones_are_warned_about_once(run):
    for name in ("a", "b"):
        save(f"in/{name}.png", picture() // 128)
    save("in/c.png", np.full((6, 9, 3), 2, np.uint8))
    code, _, err = run("in", "--output_dir=out")
    assert code == 0
    assert err == [
        "warning: 2 images without a value above 1, where 255 is white, such as in/a.png: "
        "floats in [0, 1], or label maps?"
    ]


def with_pillow(path: str, pixels: np.ndarray, mode: str | None = None, **options) -> None:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)


def exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_a_constant_alpha_channel_is_dropped(run):
    image = picture()
    for alpha in (255, 7, 0):
        with_pillow(f"{alpha}.png", np.dstack([image, np.full((6, 9), alpha, np.uint8)]))
        assert run(f"{alpha}.png", "--output_dir=out")[0] == 0
        np.testing.assert_array_equal(labels(f"out/{alpha}_labels.png"), image.argmax(-1))


def test_an_image_is_turned_as_exif_says(run):
    image = picture()
    with_pillow("a.png", image, exif=exif(6))  # the viewer turns it by 90° clockwise
    assert run("a.png", "--output_dir=out")[0] == 0
    np.testing.assert_array_equal(labels("out/a_labels.png"), np.rot90(image, -1).argmax(-1))


def test_what_training_refuses_is_refused_with_the_same_words(run):
    image, vary = picture(), picture()[..., :1]
    with_pillow("palette.png", image, "P")
    with_pillow("alpha.png", np.dstack([image, vary]))
    with_pillow("cmyk.jpg", image, "CMYK")
    cv2.imwrite("deep.png", image.astype(np.uint16))
    cv2.imwrite("deep.tif", image.astype(np.uint16))
    with_pillow("turned.webp", image, exif=exif(6))
    Path("text.png").write_text("text")
    files = [name for name in written() if not name.startswith("export")]
    save("good.png")
    code, _, err = run(*files, "good.png", "--output_dir=out")
    assert code == 1
    expected = []
    for file in files:
        with pytest.raises(BadFileError) as refused:
            inspect_image(file)
        expected.append(f"not segmented: {refused.value}")
    assert err == expected
    assert len(err) == 7


# --- Refused before anything is done --------------------------------------------------------------------


@pytest.fixture
def no_model(monkeypatch):
    """The model must not be loaded."""

    def loaded(folder, runtime):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("taf_keras.serving.prediction.load_predictor", loaded)


def test_a_missing_image_is_refused_before_the_model_is_loaded(run, no_model):
    save("a.png")
    assert run("a.png", "b.png") == (2, [], ["error: b.png: no such image, video or folder"])


def test_a_folder_without_a_model_is_refused_at_once(run, no_model, model):
    save("a.png")
    Path("empty").mkdir()
    code, out, err = run("a.png", model="empty")
    assert (code, out) == (2, [])
    assert err == ["error: --model=empty: holds no exported model (saved_model.pb)"]
    _, _, err = run("a.png", model=model.parent)  # the run's folder
    assert err[0].endswith(f"holds no exported model (saved_model.pb): give --model={model}")
    assert not Path("predictions").exists()


def test_a_damaged_class_table_is_refused_at_once(run, no_model):
    save("a.png")
    Path("model").mkdir()
    Path("model/saved_model.pb").touch()
    code, _, (line,) = run("a.png", model="model")
    assert code == 2
    assert line.startswith("error: model/assets.extra/classes.json: missing or damaged: ")


def test_an_output_folder_that_is_a_file_is_refused(run, no_model):
    save("a.png")
    code, _, err = run("a.png", "--output_dir=a.png")
    assert (code, err) == (2, ["error: a.png: cannot be made a folder: File exists"])


@pytest.mark.parametrize("arguments", [[], ["--model"], ["--models=x", "a.png"], ["a.png", "--output=x"]])
def test_bad_arguments_are_one_line(run, arguments):
    code, out, (line,) = run(*arguments)
    assert (code, out) == (2, [])
    assert line.startswith("error: ")
    assert line.endswith("(--help lists all options)")


# --- The size at which the network sees ---


@pytest.mark.parametrize(
    ("asked", "frame", "expected"),
    [
        (None, (480, 640), (96, 128)),
        (None, (1080, 1445), (96, 128)),  # nearly the same aspect ratio
        (None, (640, 480), (128, 96)),  # turned
        (None, (100, 400), (55, 222)),  # wider: as many pixels
        ("own", (480, 640), (480, 640)),
        ((50, 60), (480, 640), (50, 60)),
    ],
)
def test_a_network_sees_things_as_large_as_in_its_training(asked, frame, expected):
    assert Selection(size=asked, trained=(96, 128)).network_size(frame) == expected


def test_where_nobody_knows_the_size_of_the_training_it_is_the_frames_own():
    assert Selection().network_size((480, 640)) == (480, 640)


def test_images_are_seen_at_the_size_of_the_training(run, tmp_path):
    """Four pixels become one, which labels all four; on request each is seen itself."""
    image = keras.Input((None, None, 3))
    trained = tmp_path / "export"
    export_model(keras.Model(image, keras.layers.Identity()(image)), CLASSES, trained, (6, 9))
    pixels = save("in/a.png", picture((12, 18)))
    code, out, _ = run("in", "--output_dir=out", model=trained)
    assert code == 0
    assert out[0] == f"{trained}: sees all as large as in its training, 6x9 px (or --size=own)"
    seen = read_image(pixels, (6, 9)).argmax(-1)
    np.testing.assert_array_equal(labels("out/a_labels.png"), seen.repeat(2, axis=0).repeat(2, axis=1))
    code, out, _ = run("in", "--output_dir=own", "--size=own", model=trained)
    assert (code, len(out)) == (0, 2)
    np.testing.assert_array_equal(labels("own/a_labels.png"), pixels.argmax(-1))
