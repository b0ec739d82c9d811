"""docs/data_sets.md: its layouts and lists are made as they stand there, and read by the library."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from page_parts import blocks, commands, rows
from promises import ROOT, section, text_of

from taf_keras import check
from taf_keras.clips.clip import VOID
from taf_keras.command_line import parse_config
from taf_keras.config import SPLITS, TEMPORAL_CONTEXT, DataConfig
from taf_keras.datasets import camvid, cityscapes, load, manifest
from taf_keras.experiments.gpu_hours import TRAINING_CLIPS
from taf_keras.inspection.check import check_split
from taf_keras.streets.config import CLASSES, SyntheticConfig

PAGE = text_of("docs/data_sets.md")


def files_of_tree(title: str) -> list[str]:
    """The files that the tree of a section lists."""
    (tree,) = (block for block in blocks(section(PAGE, title)) if re.match(r"[A-Za-z_]+/\n", block))
    return [line.split()[0] for line in tree.splitlines()[1:]]


def write_tree(root: Path, files: list[str], ids: tuple[int, int]) -> Path:
    """Small pictures under these names, no two alike; label maps of two ids."""
    for number, name in enumerate(files):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        is_label = "annot/" in name or name.startswith(("gtFine/", "labels/"))
        pixels = np.full((16, 32), ids[0], np.uint8) if is_label else np.full((16, 32, 3), number, np.uint8)
        pixels[:, 16:] = ids[1] if is_label else 255
        cv2.imwrite(str(root / name), pixels)
    return root


def load_checked(dataset: str, root: Path, split: str):
    data = DataConfig(dataset=dataset, data_dir=str(root))
    loaded = load.load_split(data, split)
    return check_split(loaded, partners_within=data.temporal_context if split == "train" else 0)


def test_the_tree_of_camvid_is_read(tmp_path):
    root = write_tree(tmp_path, files_of_tree("CamVid"), ids=(0, 3))
    found = {
        split: {clip.name: clip.offsets(15) for clip in load_checked("camvid", root, split).clips}
        for split in SPLITS
    }
    assert found["train"] == {"0001TP_006690": (-1, 0, 1)}
    assert len(found["val"]) == 1
    assert found["test"] == {"0001TP_008550": (0,), "Seq05VD_000000": (0, 1)}


def test_the_tree_of_cityscapes_is_read(tmp_path):
    root = write_tree(tmp_path, files_of_tree("Cityscapes"), ids=(7, 8))
    (clip,) = load_checked("cityscapes", root, "train").clips
    assert clip.offsets(15) == (-1, 0, 1)
    assert len(load_checked("cityscapes", root, "val").clips) == 1


def test_predictions_get_the_ids_of_the_test_server(tmp_path, monkeypatch):
    (program,) = (block for block in blocks(section(PAGE, "Cityscapes")) if "label_ids(CLASSES)" in block)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "predictions" / "berlin").mkdir(parents=True)
    labels = "berlin_000000_000019_leftImg8bit_labels.png"
    cv2.imwrite(f"predictions/berlin/{labels}", np.arange(19, dtype=np.uint8).reshape(1, 19))
    exec(program, {})
    written = cv2.imread(f"label_ids/{labels}", cv2.IMREAD_UNCHANGED)
    official = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert written.tolist() == [official]


def own_blocks(begin: str) -> list[str]:
    return [block for block in blocks(section(PAGE, "Your own clips")) if block.startswith(begin)]


def test_the_list_and_the_classes_are_read(tmp_path):
    (listed,), classes = own_blocks("clip,"), own_blocks('{"classes"')
    files = files_of_tree("Your own clips")
    for name, text in (("train.csv", listed), ("val.csv", listed), ("classes.json", classes[0])):
        assert name in files
        (tmp_path / name).write_text(text)
    write_tree(tmp_path, [name for name in files if "/" in name], ids=(0, 1))
    named = {cell for line in listed.splitlines()[1:] for cell in line.split(",")[2:] if cell}
    assert named == {name for name in files if "/" in name}
    (clip,) = load_checked("manifest", tmp_path, "train").clips
    assert (clip.name, clip.offsets(3)) == ("harbour_000121", (-1, 0, 1))


def test_the_other_tables_of_classes_mean_what_is_said(tmp_path):
    raw_ids = []
    for block in own_blocks('{"classes"'):
        (tmp_path / "classes.json").write_text(block)
        raw_ids.append(manifest.class_table(str(tmp_path)).raw_ids)
    assert raw_ids == [
        {0: 0, 1: 1, 255: VOID},
        {0: 0, 255: 1},
        {1: 0, 2: 1, 0: VOID},
        {0: 0, 1: 1, 254: VOID, 255: VOID},
    ]


def draw_clips(folder: Path) -> None:
    """Runs the program of the page, which makes my_clips."""
    (program,) = re.findall(r"^python - <<'END'\n(.*?)^END$", PAGE, re.DOTALL | re.MULTILINE)
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)


def test_the_clips_that_it_draws_can_be_trained_on(tmp_path, monkeypatch, capsys):
    draw_clips(tmp_path)
    monkeypatch.chdir(tmp_path)
    (arguments,) = (found for found in commands(PAGE, "python -m taf_keras.check") if "my_clips" in found[-1])
    check.main(arguments)
    assert capsys.readouterr().out.splitlines()[-1] == "training would start"
    assert "`check` ends with `training would start`" in PAGE
    counts = {
        split: len(load_checked("manifest", Path("my_clips"), split).clips) for split in ("train", "val")
    }
    assert counts == {"train": 3, "val": 1}


@pytest.mark.end_to_end
def test_the_training_on_them_ends_as_promised(tmp_path):
    draw_clips(tmp_path)
    (arguments,) = (found for found in commands(PAGE, "python train.py") if "--data_dir=my_clips" in found)
    subprocess.run([sys.executable, str(ROOT / "train.py"), *arguments], cwd=tmp_path, check=True)
    percent = int(re.search(r"mIoU above (\d+) %", PAGE)[1])
    metrics = json.loads((tmp_path / "runs" / "mine" / "metrics.json").read_text())
    assert 100 * metrics["miou"] > percent


def test_the_counts_are_those_of_the_code():
    table = {cells[1].strip("`"): cells for cells in rows(PAGE.split("\n## ")[0]) if len(cells) == 7}
    synthetic = SyntheticConfig()
    clips = [synthetic.clip_count(split) for split in ("train", "val", "test")]
    assert table["synthetic"][2] == " / ".join(map(str, clips))
    assert table["synthetic"][4] == f"{synthetic.height} × {synthetic.width}"
    for dataset, count in TRAINING_CLIPS.items():
        assert table[dataset][2].split(" / ")[0] == str(count)
    for dataset, classes in (
        ("synthetic", CLASSES),
        ("camvid", camvid.CLASSES),
        ("cityscapes", cityscapes.CLASSES),
    ):
        assert table[dataset][3] == str(len(classes))
    assert ", ".join(camvid.CLASSES.names[:-1]) in " ".join(PAGE.split())
    for share in (0.2, 0.5):
        assert f"{round(share * TRAINING_CLIPS['cityscapes'])} " in section(PAGE, "Cityscapes")
    assert f"`--temporal_context={TEMPORAL_CONTEXT}`" in PAGE
    offsets = [abs(n) for n in synthetic.offsets("val") if n > 0]
    assert f"±{offsets[0]}, ±{offsets[1]} and ±{offsets[2]}" in PAGE


@pytest.mark.parametrize("arguments", commands(PAGE, "python train.py"), ids=" ".join)
def test_the_commands_of_trainings_parse(arguments, tmp_path):
    known = parse_config(arguments)
    assert known.data.dataset in ("synthetic", "camvid", "cityscapes", "manifest", "packed")
