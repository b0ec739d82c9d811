"""Lists written by hand: two videos, three labels; then every fault that a list can have."""

import codecs
import json
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import deny_access

from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import VOID
from taf_keras.clips.decode import read_label
from taf_keras.config import Config, DataConfig, ModelConfig, TrainingConfig
from taf_keras.datasets import load
from taf_keras.datasets import manifest as reader
from taf_keras.errors import BadFileError, UserError
from taf_keras.inspection.check import check_split

HEADER = "clip,frame,image,label"
ROWS = """\
harbour,7,a/7.png,
harbour,9,a/9.png,l/9.png
harbour,10,a/10.png,
harbour,14,a/14.png,l/14.png
street,0,b/0.png,l/s0.png
street,1,b/1.png,"""
CLASSES = {"classes": [{"name": "road", "colour": [128, 64, 128]}, {"name": "sky", "color": [70, 130, 180]}]}


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    write_list(folder, f"{HEADER}\n{ROWS}\n")
    write_classes(folder, CLASSES)
    return folder


def write_list(root: Path, text: str | bytes, split: str = "train") -> None:
    (root / f"{split}.csv").write_bytes(text if isinstance(text, bytes) else text.encode())


def write_classes(root: Path, content) -> None:
    (root / "classes.json").write_text(content if isinstance(content, str) else json.dumps(content))


def write_images(root: Path) -> None:
    """An image and, where the list names one, a label map for every row: left half road, right half sky."""
    for row in ROWS.splitlines():
        _, number, image, label = row.split(",")
        for name, pixels in ((image, np.full((32, 48, 3), int(number), np.uint8)), (label, halves())):
            if name:
                (root / name).parent.mkdir(exist_ok=True)
                cv2.imwrite(str(root / name), pixels)


def halves() -> np.ndarray:
    label = np.zeros((32, 48), np.uint8)
    label[:, 24:], label[0] = 1, 255
    return label


def config(root: Path, **settings) -> DataConfig:
    return DataConfig(dataset="manifest", data_dir=str(root), temporal_context=4, **settings)


def numbers(split) -> dict[str, list[int]]:
    return {clip.name: [frame.number for frame in clip.frames] for clip in split.clips}


def refusal(function, *args, **options) -> str:
    with pytest.raises(UserError) as error:
        function(*args, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- Good lists -------------------------------------------------------------------------------------


def test_every_label_makes_a_clip_of_the_frames_within_reach(root):
    split = reader.load_split(str(root), "train", 4)
    assert numbers(split) == {
        "harbour_000009": [7, 9, 10],  # 14 is 5 away
        "harbour_000014": [10, 14],
        "street_000000": [0, 1],
    }
    assert [clip.video for clip in split.clips] == ["harbour", "harbour", "street"]
    assert split.clips[0].key_frame.image == f"{root}/a/9.png"
    assert split.clips[0].key_frame.label == f"{root}/l/9.png"
    # Labels of other frames stay on their frames: 9 and 14 are in reach of each other at 5.
    wider = reader.load_split(str(root), "train", 5).clips[0]
    assert [frame.label is not None for frame in wider.frames] == [False, True, False, True]


def test_a_set_on_disk_reaches_the_training_batches(root):
    from taf_keras.pipeline.batches import training_batches

    write_images(root)
    split = check_split(load.load_split(config(root), "train"), partners_within=4)
    assert read_label(split.clips[0].key_frame.label, split.classes)[:2, 22:26].tolist() == [
        [VOID] * 4,
        [0, 0, 1, 1],
    ]
    data = config(root, min_scale=1.0, max_scale=1.0, flip=False)
    settings = Config(data, ModelConfig(), training=TrainingConfig(epochs=2, batch_size=6))
    seen = set()
    for batch in training_batches(split, settings):
        assert batch["image"].shape == (3, 32, 48, 3)
        for image, partner, offset, label in zip(
            *(batch[name].numpy() for name in ("image", "partner", "offset_frames", "label")), strict=True
        ):
            key = int(image[0, 0, 0])  # each frame is painted in its number
            seen.add(key)
            assert int(partner[0, 0, 0]) == key + offset
            np.testing.assert_array_equal(label, halves())
    assert seen == {9, 14, 0}


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n\r\n\n",
        lambda text: text.replace("street,0", "\nstreet,0"),
        lambda text: codecs.BOM_UTF8.decode() + text,
        lambda text: text.replace("a/9.png", '"a/9.png"').replace("clip,", '"clip",'),
    ],
    ids=["no last line end", "CRLF", "blank lines at the end", "blank line within", "BOM", "quotes"],
)
def test_all_dresses_of_csv_are_read_alike(root, dress):
    write_list(root, dress(f"{HEADER}\n{ROWS}\n"))
    split = reader.load_split(str(root), "train", 4)
    assert list(numbers(split)) == ["harbour_000009", "harbour_000014", "street_000000"]
    assert split.clips[0].key_frame.image == f"{root}/a/9.png"


def test_names_keep_their_commas_quotes_and_characters(root):
    composed, decomposed = (unicodedata.normalize(form, "Köln") for form in ("NFC", "NFD"))
    rows = [f'{composed},0,"a, b.png","say ""l"".png"', f"{decomposed},0,{decomposed}.png,{composed}.png"]
    write_list(root, "\n".join([HEADER, *rows]))
    first, second = reader.load_split(str(root), "train", 4).clips
    assert (first.video, second.video) == (composed, decomposed)
    assert first.key_frame.image == f"{root}/a, b.png"
    assert first.key_frame.label == f'{root}/say "l".png'
    assert second.key_frame.image == f"{root}/{decomposed}.png"
    assert second.key_frame.label == f"{root}/{composed}.png"


def test_rows_of_videos_may_alternate(root):
    write_list(root, f"{HEADER}\na,3,3.png,l.png\nb,1,1.png,m.png\na,4,4.png,\nb,2,2.png,\n")
    assert numbers(reader.load_split(str(root), "train", 4)) == {"a_000003": [3, 4], "b_000001": [1, 2]}


def test_rows_may_come_in_any_order(root):
    expected = numbers(reader.load_split(str(root), "train", 4))
    header, *rows = f"{HEADER}\n{ROWS}".splitlines()
    write_list(root, "\n".join([header, *reversed(rows)]) + "\n")
    assert numbers(reader.load_split(str(root), "train", 4)) == expected


def test_backslashes_are_slashes_where_that_finds_the_file(root):
    (root / "a").mkdir()
    (root / "a" / "1.png").touch()
    (root / "a\\2.png").touch()  # a name of its own
    write_list(root, f"{HEADER}\nquay,1,a\\1.png,l\\none.png\nquay,2,a\\2.png,\n")
    (clip,) = reader.load_split(str(root), "train", 4).clips
    assert [frame.image for frame in clip.frames] == [f"{root}/a/1.png", f"{root}/a\\2.png"]
    assert clip.key_frame.label == f"{root}/l\\none.png"  # the check will name it as it is written


def test_without_val_csv_the_last_part_of_train_csv_is_set_aside(root):
    rows = [f"quay,{n},{n}.png," + f"l{n}.png" * (n % 10 == 0) for n in range(100)]
    write_list(root, "\n".join([HEADER, *rows]) + "\n")
    for context in (1, 6, 15):  # the labels are the same whatever partners there are
        train, val = (reader.load_split(str(root), name, context) for name in ("train", "val"))
        assert [clip.key_number for clip in val.clips] == [80, 90]
        assert [clip.key_number for clip in train.clips] == [0, 10, 20, 30, 40]
        assert train.note == (
            "there is no val.csv: 2 of 10 key frames are set aside for validation, 3 between them and the "
            "others are left out"
        )
    # No frame of a training clip lies within the context of a key frame that is validated on.
    train = reader.load_split(str(root), "train", 20)
    assert [clip.key_number for clip in train.clips] == [0, 10, 20, 30]
    assert max(frame.number for clip in train.clips for frame in clip.frames) == 50
    assert reader.splits(str(root)) == ("train", "val")


def test_a_val_csv_of_the_header_alone_sets_nothing_aside(root):
    rows = [f"quay,{n},{n}.png,l{n}.png" for n in range(0, 100, 10)]
    write_list(root, "\n".join([HEADER, *rows]) + "\n")
    (root / "val.csv").write_text(f"{HEADER}\n")
    assert reader.splits(str(root)) == ("train",)
    assert len(reader.load_split(str(root), "train", 3).clips) == 10
    (root / "val.csv").write_text("clip,image\n")  # no such list: training says so
    assert reader.splits(str(root)) == ("train", "val")


def test_a_folder_that_may_not_be_searched_is_named(root, monkeypatch):
    deny_access(monkeypatch, "is_file")
    with pytest.raises(UserError, match=f"^--data_dir={root}: cannot be read: Permission denied$"):
        reader.splits(str(root))


def test_dense_labels_are_set_aside_with_a_smaller_gap(root):
    """A frame further apart than its partners and its own partners reach."""
    rows = [f"quay,{n},{n}.png,l{n}.png" for n in range(30)]
    write_list(root, "\n".join([HEADER, *rows]) + "\n")
    train, val = (reader.load_split(str(root), name, 3) for name in ("train", "val"))
    assert [clip.key_number for clip in val.clips] == list(range(24, 30))
    assert [clip.key_number for clip in train.clips] == list(range(18))
    with pytest.raises(UserError, match="all 30 labels lie within 24 frames of those that are set aside"):
        reader.load_split(str(root), "train", 12)


def test_too_few_labels_are_all_trained_on_with_a_word(root):
    split = reader.load_split(str(root), "train", 4)
    assert len(split.clips) == 3
    assert split.note == "3 key frames: none is set aside for validation"


def test_splits_are_those_with_a_list(root):
    assert reader.splits(str(root)) == ("train",)
    write_list(root, f"{HEADER}\n{ROWS}", "val")
    assert (reader.splits(str(root)), load.evaluation_split(config(root))) == (("train", "val"), "val")
    write_list(root, f"{HEADER}\n{ROWS}", "test")
    assert load.evaluation_split(config(root)) == "test"


# --- Faults of a list as a whole --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": is empty; it lists frames, under clip,frame,image,label"),
        ("\n\n", ": is empty; it lists frames, under clip,frame,image,label"),
        (ROWS, ":1: the columns must be clip,frame,image,label, found harbour,7,a/7.png,"),
        ("clip,frame,image\na,1,b.png\n", ":1: .*, found clip,frame,image$"),
        ("clip,frame,image,image\n", ":1: .*, found clip,frame,image,image$"),
        ("clip,frame,image,label,weather\n", ":1: .*, found clip,frame,image,label,weather$"),
        ("frame,clip,image,label\n", ":1: .*, found frame,clip,image,label$"),
        ('"cl\nip",frame,image,label\n', ":1: .*, found cl ip,frame,image,label$"),
        ("clip;frame;image;label\n", ":1: .*, found clip;frame;image;label$"),
        (f"\n{HEADER}\n", ":1: .*, found a blank line$"),
        (f"{HEADER}\n", ": no row with a label$"),
        (f"{HEADER}\na,1,b.png,\n", ": no row with a label$"),
        (f"{HEADER}\n{ROWS}\n".encode("utf-16"), ":1: is not UTF-8$"),
        (f"{HEADER}\na,1,ö.png,l.png\n".encode("latin-1"), ":2: is not UTF-8$"),
        (codecs.BOM_UTF8 + f"{HEADER}\n".encode() + b"\xff", ":2: is not UTF-8$"),
        (f"{HEADER}\na,1,b\0.png,l.png\n", ":2: has a NUL byte$"),
        (
            f'{HEADER}\n{ROWS}\nstreet,2,"b/2.png,\nstreet,3,b/3.png,\n',
            ":8: is not CSV: unexpected end of data$",
        ),
        (f'{HEADER}\na,1,"b"c.png,\n', ":2: is not CSV: ',' expected after"),
    ],
)
@pytest.mark.parametrize("on_bad_file", ["refuse", "skip"])
def test_what_is_no_list_is_refused(root, text, message, on_bad_file):
    write_list(root, text)
    with pytest.raises(UserError, match=f"^{root}/train.csv{message}") as error:
        reader.load_split(str(root), "train", 4, BadFiles(on_bad_file))
    assert "\n" not in str(error.value)


def test_a_missing_list_or_folder_says_what_it_must_hold(root, tmp_path):
    message = refusal(reader.load_split, str(root), "val", 4)
    assert message == (
        f"{root}/val.csv: No such file, and train.csv has 3 labels: of 5 or more some are set aside for "
        "validation"
    )
    message = refusal(reader.load_split, str(root), "test", 4)
    assert (
        message
        == f"{root}/test.csv: No such file or directory; it lists frames, under clip,frame,image,label"
    )
    message = refusal(reader.class_table, str(tmp_path / "nowhere"))
    assert message == (
        f"{tmp_path}/nowhere/classes.json: No such file or directory; it holds the classes as "
        '{"classes": [{"name": "road", "colour": [128, 64, 128]}, …], "void": 255}'
    )


# --- Faults of a row --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("harbour,15,a/15.png", "has 3 fields, must have 4: clip,frame,image,label"),
        ("harbour,15,a/15.png,l/15.png,sunny", "has 5 fields, must have 4: clip,frame,image,label"),
        ("harbour", "has 1 fields, must have 4: clip,frame,image,label"),
        (",15,a/15.png,l/15.png", "has no clip"),
        ("harbour,15,,l/15.png", "has no image"),
        ('harbour,15,"a/\n15.png",l/15.png', "has a line break within a field"),
        ('harbour,15,a/15.png,"l/15.png\n"', "has a line break within a field"),
        ("harbour,,a/15.png,", "frame '' is not a whole number of 0 or more"),
        ("harbour,x15,a/15.png,", "frame 'x15' is not a whole number of 0 or more"),
        ("harbour,-15,a/15.png,", "frame '-15' is not a whole number of 0 or more"),
        ("harbour,15.0,a/15.png,", "frame '15.0' is not a whole number of 0 or more"),
        ("harbour, 15,a/15.png,", "frame ' 15' is not a whole number of 0 or more"),
        ("harbour,１５,a/15.png,", "frame '１５' is not a whole number of 0 or more"),
        (f"harbour,{'9' * 5000},a/15.png,", f"frame '{'9' * 5000}' is not a whole number of 0 or more"),
        ("harbour,14,a/15.png,l/15.png", "frame 14 of clip harbour occurs twice"),
        ("harbour,014,a/15.png,l/15.png", "frame 14 of clip harbour occurs twice"),
        ("harbour,7,a/15.png,l/15.png", "frame 7 of clip harbour occurs twice"),
        ("harbour,15,a/14.png,l/15.png", "image a/14.png is that of line 5 already"),
        ("harbour,15,./a//14.png,", "image ./a//14.png is that of line 5 already"),
        ("quay,3,a/14.png,l/15.png", "image a/14.png is that of line 5 already"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_or_left_out(root, row, reason):
    lines = f"{HEADER}\n{ROWS}".splitlines()
    write_list(root, "\n".join([*lines[:5], row, *lines[5:]]) + "\n")  # the bad one is line 6
    assert refusal(load.load_split, config(root), "train") == f"{root}/train.csv:6: {reason}"
    bad = BadFiles("skip")
    split = load.load_split(config(root), "train", bad=bad)
    assert [(error.file, error.reason) for error in bad.found] == [(f"{root}/train.csv:6", reason)]
    assert numbers(split) == {
        "harbour_000009": [7, 9, 10],
        "harbour_000014": [10, 14],
        "street_000000": [0, 1],
    }


def test_lines_count_on_through_blank_lines_and_bad_rows(root):
    write_list(root, f'{HEADER}\r\n\r\na,1,"x\r\ny",\r\n\r\na,2,2.png,l.png\r\na,2,3.png,\r\n')
    bad = BadFiles("skip")
    assert numbers(reader.load_split(str(root), "train", 4, bad)) == {"a_000002": [2]}
    assert [error.file.removeprefix(f"{root}/") for error in bad.found] == ["train.csv:3", "train.csv:7"]


def test_a_list_with_only_bad_rows_says_so(root):
    write_list(root, f"{HEADER}\na,x,1.png,l.png\na,2,2.png,\n")
    message = refusal(reader.load_split, str(root), "train", 4, BadFiles("skip"))
    assert message == f"{root}/train.csv: no row with a label is left"


# --- Files elsewhere --------------------------------------------------------------------------------


@pytest.fixture
def outside(root) -> Path:
    """A folder beside the data set, to which links within the data set lead."""
    folder = root.with_name("clips_of_others")  # begins with the data set's own path
    folder.mkdir()
    (folder / "15.png").write_bytes(b"")
    (root / "linked").symlink_to(folder)
    (root / "a").mkdir()
    (root / "a" / "link.png").symlink_to("../../clips_of_others/15.png")
    (root / "inner.png").symlink_to("a/15.png")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "../clips_of_others/15.png",
        "a/../../x.png",
        "linked/15.png",
        "a/link.png",
        "linked/../x.png",
        "/x.png",
        "..",
    ],
)
@pytest.mark.parametrize("column", ["image", "label"])
def test_a_path_that_leaves_the_folder_needs_permission(root, outside, name, column):
    row = f"harbour,15,{name},l/15.png" if column == "image" else f"harbour,15,a/15.png,{name}"
    write_list(root, f"{HEADER}\n{ROWS}\n{row}\n")
    reason = f"{name} is not a path within --data_dir; --allow_outside_files lets it pass"
    assert refusal(load.load_split, config(root), "train") == f"{root}/train.csv:8: {reason}"
    bad = BadFiles("skip")
    assert len(load.load_split(config(root), "train", bad=bad).clips) == 3
    assert [error.reason for error in bad.found] == [reason]
    split = load.load_split(config(root, allow_outside_files=True), "train")
    assert getattr(split.clips[2].key_frame, column) == str(Path(root) / name)


def test_an_absolute_path_is_refused_wherever_it_leads(root):
    write_list(root, f"{HEADER}\na,1,{root}/1.png,l.png\n")
    assert f"{root}/1.png is not a path within" in refusal(reader.load_split, str(root), "train", 4)


@pytest.mark.parametrize("name", ["a/../x.png", "inner.png", "..x/15.png"])
def test_a_path_that_stays_within_needs_none(root, outside, name):
    write_list(root, f"{HEADER}\na,1,{name},l.png\n")
    assert len(reader.load_split(str(root), "train", 4).clips) == 1


def test_the_folder_itself_may_be_a_link_or_relative(root, monkeypatch):
    root.with_name("link").symlink_to(root)
    monkeypatch.chdir(root.parent)
    for data_dir in (str(root.with_name("link")), "link", "clips", "./clips/", "clips/../clips"):
        assert len(reader.load_split(data_dir, "train", 4).clips) == 3


# --- Classes ----------------------------------------------------------------------------------------


def test_ids_are_positions_and_void_is_255_by_default(root):
    classes = reader.class_table(str(root))
    assert classes.names == ("road", "sky")
    assert classes.colours == ((128, 64, 128), (70, 130, 180))
    assert classes.raw_ids == {0: 0, 1: 1, 255: VOID}


@pytest.mark.parametrize(("void", "ids"), [(2, [2]), ([2, 254], [2, 254]), ([], [])])
def test_void_is_an_id_or_several(root, void, ids):
    write_classes(root, CLASSES | {"void": void})
    assert reader.class_table(str(root)).raw_ids == {0: 0, 1: 1} | dict.fromkeys(ids, VOID)


def test_positions_count_from_1_where_0_is_void(root):
    write_classes(root, CLASSES | {"void": [0, 255]})
    assert reader.class_table(str(root)).raw_ids == {1: 0, 2: 1, 0: VOID, 255: VOID}


def test_an_id_stands_before_a_position_and_takes_255_from_void(root):
    """Masks of 0 and 255 with two classes: nothing is void then."""
    write_classes(root, {"classes": [SKY, ROAD | {"id": 255}]})
    assert reader.class_table(str(root)).raw_ids == {0: 0, 255: 1}


def test_a_class_may_do_without_a_colour(root):
    write_classes(root, {"classes": [{"name": "a"}, ROAD, {"name": "b"}]})
    colours = reader.class_table(str(root)).colours
    assert colours[1] == (128, 64, 128)
    assert len(set(colours)) == 3


def test_colours_stand_for_classes_and_black_for_void_unless_another_does(root):
    colours = {(128, 64, 128): 0, (70, 130, 180): 1}
    assert reader.class_table(str(root)).raw_colours == colours | {(0, 0, 0): VOID}
    write_classes(root, CLASSES | {"void": [255, [224, 224, 192]]})
    assert reader.class_table(str(root)).raw_colours == colours | {(224, 224, 192): VOID}
    write_classes(root, {"classes": [ROAD, SKY | {"colour": [0, 0, 0]}]})
    assert reader.class_table(str(root)).raw_colours == {(128, 64, 128): 0, (0, 0, 0): 1}
    write_classes(root, {"classes": [ROAD, SKY | {"colour": ROAD["colour"]}]})
    assert reader.class_table(str(root)).raw_colours is None  # one colour for two cannot tell them apart


def test_255_classes_are_the_most(root):
    many = [{"name": f"c{i}", "colour": [i, 0, 0]} for i in range(256)]
    write_classes(root, {"classes": many[:255]})
    assert reader.class_table(str(root)).lookup.tolist() == list(range(256))
    write_classes(root, {"classes": many, "void": []})
    assert refusal(reader.class_table, str(root)).endswith("has 256 classes; allowed are 1 to 255")


SHAPE = r'must be {"classes": \[{"name": "road", "colour": \[128, 64, 128\]}, …\], "void": 255} and no more'
ROAD = {"name": "road", "colour": [128, 64, 128]}
SKY = {"name": "sky", "colour": [70, 130, 180]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": is empty; it holds the classes as"),
        ('{"classes": [\n  {"name": "road",}\n]}', ":2: is not JSON: "),
        ('{"classes": []}\n}', ":2: is not JSON: Extra data"),
        ("[]", f": {SHAPE}"),
        ("3", f": {SHAPE}"),
        ({}, f": {SHAPE}"),
        ({"classes": {"road": [1, 2, 3]}}, f": {SHAPE}"),
        (CLASSES | {"viod": 3}, f": {SHAPE}"),
        ({"classes": []}, ": has 0 classes; allowed are 1 to 255"),
        (
            {"classes": [ROAD, "sky"]},
            r': class 1: must be {"name": "road", .*}, with "id" if label maps hold',
        ),
        ({"classes": [{"colour": [1, 2, 3]}]}, ": class 0: must be {"),
        ({"classes": [ROAD | {"color": [1, 2, 3]}]}, ": class 0: must be {"),
        ({"classes": [ROAD | {"idd": 7}]}, ": class 0: must be {"),
        ({"classes": [ROAD | {"id": 256}]}, ": class 0: id 256: must be a whole number, 0 to 255"),
        ({"classes": [ROAD | {"id": "7"}]}, ': class 0: id "7": must be a whole number, 0 to 255'),
        (
            {"classes": [ROAD | {"id": 1}, SKY]},
            ": class 1: has id 1, as road has: give each an id of its own",
        ),
        ({"classes": [ROAD, SKY] * 127 + [ROAD], "void": 0}, ": class 2: an earlier one is named road too"),
        ({"classes": [ROAD, ROAD]}, ": class 1: an earlier one is named road too"),
        ({"classes": [ROAD | {"name": ""}]}, ': class 0: name "": must be a text of one line'),
        ({"classes": [ROAD | {"name": "a\nb"}]}, r': class 0: name "a\\nb": must be a text of one line'),
        ({"classes": [ROAD | {"name": 7}]}, ": class 0: name 7: must be a text of one line"),
        ({"classes": [ROAD | {"colour": "red"}]}, r': class 0: colour "red": must be \[red, green, blue\]'),
        ({"classes": [ROAD | {"colour": [1, 2]}]}, r": class 0: colour \[1, 2\]: must be"),
        ({"classes": [ROAD | {"colour": [1, 2, 256]}]}, r": class 0: colour \[1, 2, 256\]: must be"),
        ({"classes": [ROAD | {"colour": [1, 2, -1]}]}, r": class 0: colour \[1, 2, -1\]: must be"),
        ({"classes": [ROAD | {"colour": [1, 2, 0.5]}]}, r": class 0: colour \[1, 2, 0.5\]: must be"),
        ({"classes": [ROAD | {"colour": [1, 2, True]}]}, r": class 0: colour \[1, 2, true\]: must be"),
        (CLASSES | {"void": 1}, ": void 1: 1 is the id of sky; allowed are ids that no class has"),
        (CLASSES | {"void": [255, 1]}, r": void \[255, 1\]: 1 is the id of sky"),
        (CLASSES | {"void": [[70, 130, 180]]}, r": void \[70, 130, 180\]: is the colour of class 1"),
        (CLASSES | {"void": 256}, ": void 256: must be an id, 0 to 255, or a list of ids and colours"),
        (CLASSES | {"void": -1}, ": void -1: must be"),
        (CLASSES | {"void": None}, ": void null: must be"),
        (CLASSES | {"void": [[1, 2]]}, r": void \[\[1, 2\]\]: must be"),
        ('{"classes": [], "classes": []}', ': key "classes" occurs 2 times in one object'),
        ('{"classes": [{"name": "a", "name": "b", "colour": [1, 2, 3]}]}', ': key "name" occurs 2 times'),
    ],
)
def test_a_list_of_classes_with_a_fault_is_refused(root, content, message):
    write_classes(root, content)
    with pytest.raises(UserError, match=f"^{root}/classes.json{message}") as error:
        load.class_table(config(root))
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=f"^{root}/classes.json"):
        load.load_split(config(root), "train", bad=BadFiles("skip"))


def test_a_file_that_is_not_there_is_found_by_the_check(root):
    write_images(root)
    (root / "a" / "10.png").unlink()
    split = load.load_split(config(root), "train")
    with pytest.raises(BadFileError, match=r"a/10\.png"):
        check_split(split, partners_within=4)
    bad = BadFiles("skip")
    assert numbers(check_split(split, partners_within=4, bad=bad)) == {
        "harbour_000009": [7, 9],
        "street_000000": [0, 1],  # 14 has no partner left
    }


def test_the_splits_are_known_after_five_labels(root):
    """A list of millions of rows is read to its end only when it is loaded: its last has a fault here."""
    rows = [f"a,{number},{number}.png,{number}-label.png" for number in range(100)]
    write_list(root, "\n".join([HEADER, *rows, 'b,1,"b.png']))
    assert load.splits(config(root)) == ("train", "val")
    with pytest.raises(UserError, match="is not CSV"):
        load.load_split(config(root), "train")
    write_list(root, "\n".join([HEADER, *rows[:4]]))
    assert load.splits(config(root)) == ("train",)
