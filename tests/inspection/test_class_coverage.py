"""Classes that the training labels do not show: said by training and by the check, or refused by both."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame, Split
from taf_keras.config import DataConfig
from taf_keras.errors import UserError
from taf_keras.inspection.check import check_split, load_checked
from taf_keras.inspection.class_coverage import absence_warning
from taf_keras.inspection.data_report import DataReport, survey
from taf_keras.inspection.data_tables import csv_text, text

NAMES = ("sky", "road", "car", "sign")
SHIFT = "if ids begin at 1"


def write_data(root: Path, ids: dict[str, list[int]], classes: int = 4, void: object = None) -> DataConfig:
    """Two frames a split, of which the first has a label: a column of 8 px for each of the ids."""
    table = {"classes": [{"name": name, "colour": [10, 20, 30]} for name in NAMES[:classes]]}
    root.mkdir(exist_ok=True)
    (root / "classes.json").write_text(json.dumps(table | ({} if void is None else {"void": void})))
    for split, values in ids.items():
        rng = np.random.default_rng(len(split))
        image = rng.integers(0, 256, (2, 16, 8 * len(values), 3), np.uint8)
        cv2.imwrite(f"{root}/{split}0.png", image[0])
        cv2.imwrite(f"{root}/{split}1.png", image[1])
        cv2.imwrite(f"{root}/{split}_ids.png", np.uint8(values).repeat(8)[None].repeat(16, 0))
        rows = [f"{split},0,{split}0.png,{split}_ids.png", f"{split},1,{split}1.png,"]
        (root / f"{split}.csv").write_text("\n".join(["clip,frame,image,label", *rows]))
    return DataConfig("manifest", str(root))


def said(data: DataConfig, capsys, split: str = "train") -> list[str]:
    """The warnings of a training."""
    load_checked(data, split, partners_within=data.temporal_context)
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]


def report_of(data: DataConfig) -> DataReport:
    return survey(data, "taf", threads=1)


# --- Classes without a pixel ---


def test_nothing_is_said_where_every_class_has_a_pixel(tmp_path, capsys):
    data = write_data(tmp_path, {"train": [0, 1, 2, 3, 255], "val": [0]})
    assert said(data, capsys) == []
    assert report_of(data).warnings == []
    assert report_of(data).verdict == "training would start"


def test_classes_without_a_pixel_are_named(tmp_path, capsys):
    data = write_data(tmp_path, {"train": [0, 2, 255], "val": [0, 1, 2, 3]})
    sentence = "the training labels have no pixel of road (id 1), sign (id 3): the model cannot learn them"
    assert said(data, capsys) == [f"warning: {sentence}"]
    report = report_of(data)
    assert report.warnings == [("train", sentence)]
    assert text(report).splitlines()[-3:] == [
        f"warning: {sentence}",
        "",
        "training would start, but see the warning above",
    ]
    assert ["train", "warning", "", "", sentence] in list(csv.reader(csv_text(report).splitlines()))
    assert report.refusal is None


def test_only_training_labels_are_spoken_of(tmp_path, capsys):
    data = write_data(tmp_path, {"train": [0, 1, 2, 3], "val": [0, 1]})
    assert said(data, capsys, "val") == []
    assert report_of(data).warnings == []


def test_many_absent_classes_do_not_fill_the_screen(tmp_path, capsys):
    data = write_data(tmp_path, {"train": [0, 1], "val": [0]})
    table = {"classes": [{"name": f"class{i}", "colour": [0, 0, 0]} for i in range(20)]}
    (tmp_path / "classes.json").write_text(json.dumps(table))
    (warning,) = said(data, capsys)
    assert "class2 (id 2)" in warning
    assert "class9 (id 9) and 10 more: the model cannot learn them" in warning


def test_a_label_left_out_does_not_count(tmp_path, capsys):
    """The only car is on a map with an id outside the table."""
    data = write_data(tmp_path, {"train": [0, 1, 3], "val": [0]})
    cv2.imwrite(f"{tmp_path}/bad_ids.png", np.full((16, 24), 2, np.uint8))
    cv2.imwrite(f"{tmp_path}/bad.png", np.zeros((8, 24, 3), np.uint8))  # of another size
    rows = ["other,0,bad.png,bad_ids.png", ""]
    (tmp_path / "train.csv").write_text((tmp_path / "train.csv").read_text() + "\n" + "\n".join(rows))
    data = replace(data, on_bad_file="skip")
    (warning,) = said(data, capsys)
    assert "no pixel of car (id 2): " in warning
    assert report_of(data).warnings == [("train", warning.removeprefix("warning: "))]


def test_a_table_of_one_class_is_refused(tmp_path):
    message = refusal(write_data(tmp_path, {"train": [0, 255], "val": [0]}, classes=1))
    assert message.startswith(f"{tmp_path}/classes.json: has one class, sky, and void: nothing to tell apart")


@pytest.mark.parametrize("clips", [1, 3])
def test_what_is_said_of_synthetic_clips_is_true(tmp_path, capsys, clips):
    """So small that poles and signs may vanish. Their ids are right, whichever are absent."""
    data = DataConfig(data_dir=str(tmp_path), image_size=(8, 12), train_clips=clips, temporal_context=1)
    warnings = said(data, capsys)
    split = load_checked(data, "train")
    seen = set(np.concatenate([clip.key_frame.label.ravel() for clip in split.clips]).tolist())
    absent = {name for i, name in enumerate(split.classes.names) if i not in seen}
    assert set(re.findall(r"(\w+) \(id \d+\)", "".join(warnings))) == absent
    assert SHIFT not in "".join(warnings)


# --- Ids that begin at 1 ---


def test_ids_that_may_begin_at_1_are_told_from_a_class_that_is_absent(tmp_path, capsys):
    """Sky, road and car, written as 1, 2 and 3, are what the table calls road, car and sign."""
    shifted = write_data(tmp_path / "shifted", {"train": [1, 2, 3, 255], "val": [1, 2, 3]})
    (warning,) = said(shifted, capsys)
    assert (
        "no pixel of sky (id 0): the model cannot learn it; if ids begin at 1 in your label maps" in warning
    )
    assert "every pixel counts as the class after its own in the list" in warning
    assert warning.endswith('"void": 0 in classes.json counts from 1')
    assert report_of(shifted).warnings == [("train", warning.removeprefix("warning: "))]

    absent = write_data(tmp_path / "absent", {"train": [0, 1, 3], "val": [0]})
    assert SHIFT not in said(absent, capsys)[0]


def test_several_classes_may_be_absent_where_ids_begin_at_1(tmp_path, capsys):
    (warning,) = said(write_data(tmp_path, {"train": [1, 2], "val": [1]}), capsys)
    assert "no pixel of sky (id 0), sign (id 3): the model cannot learn them; if ids begin at 1" in warning


def test_another_split_may_show_that_ids_begin_at_0(tmp_path):
    data = write_data(tmp_path, {"train": [1, 2, 3], "val": [0, 1, 2]})
    ((_, sentence),) = report_of(data).warnings
    assert "no pixel of sky (id 0)" in sentence
    assert SHIFT not in sentence


def test_ids_that_cannot_begin_at_1_are_not_suspected(tmp_path):
    """Of generated clips, and of data sets whose own ids begin elsewhere, as Cityscapes' do at 7."""
    table = ClassTable(NAMES[:3], ((0, 0, 0),) * 3)
    official = replace(table, raw_ids={7: 0, 8: 1, 11: 2, 0: VOID})
    cv2.imwrite(f"{tmp_path}/ids.png", np.uint8([[8, 11, 0]]))
    for classes, label in ((table, np.uint8([[1, 2, VOID]])), (official, f"{tmp_path}/ids.png")):
        clip = Clip("c", (Frame(0, np.zeros((1, 3, 3), np.uint8), label),), 0)
        split = Split("train", (clip,), classes)
        sentence = absence_warning(check_split(split))
        assert sentence == (
            f"the training labels have no pixel of sky (id {0 if classes is table else 7}): the model cannot "
            "learn it"
        )


# --- One class alone ---


def refusal(data: DataConfig) -> str:
    with pytest.raises(UserError) as refused:
        load_checked(data, "train", partners_within=data.temporal_context)
    report = report_of(data)
    assert str(refused.value) == report.refusal
    assert report.verdict == f"training would not start: {report.refusal}"
    assert report.warnings == []
    assert "\n" not in report.refusal
    return report.refusal


def test_masks_of_0_and_255_are_refused_and_the_remedy_works(tmp_path, capsys):
    data = write_data(tmp_path, {"train": [0, 255, 0], "val": [0, 255]}, classes=2)
    message = refusal(data)
    assert message.startswith(
        "split train: its label map holds sky (id 0) and void alone, no pixel of road (id 1): there is "
        "nothing to tell apart; 255 counts as void: where that stands for road, give it "
        '"id": 255 in classes.json'
    )
    table = json.loads((tmp_path / "classes.json").read_text())
    table["classes"][1]["id"] = 255
    table.pop("void", None)
    (tmp_path / "classes.json").write_text(json.dumps(table))
    assert said(data, capsys) == []
    assert report_of(data).verdict == "training would start"


def test_the_remedy_names_the_ids_in_use(tmp_path):
    """Two ids count as void, and three classes have no pixel."""
    message = refusal(write_data(tmp_path, {"train": [2, 255], "val": [2]}, void=[254, 255]))
    assert "its label map holds car (id 2) and void alone" in message
    assert "no pixel of sky (id 0), road (id 1), sign (id 3): " in message
    assert message.endswith(
        '254, 255 count as void: where that stands for a class, give that class "id": 255 in classes.json'
    )


def test_one_class_without_void_is_refused_with_the_ids(tmp_path):
    message = refusal(write_data(tmp_path, {"train": [1, 1], "val": [0, 1]}, classes=2))
    assert message == (
        "split train: its label map holds road (id 1) alone, no pixel of sky (id 0): there is nothing to "
        "tell apart; label maps must hold the ids of the classes, sky (id 0), road (id 1)"
    )


def test_only_training_needs_several_classes(tmp_path, capsys):
    data = write_data(tmp_path, {"train": [0, 1], "val": [0, 255]}, classes=2)
    assert said(data, capsys) == said(data, capsys, "val") == []
    assert report_of(data).verdict == "training would start"
