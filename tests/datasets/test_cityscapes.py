"""Trees in the official layout: a city of short sequences, and one whose only sequence holds two clips."""

import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import deny_access

from taf_keras import pack
from taf_keras.clips.bad_files import BadFiles
from taf_keras.clips.clip import VOID
from taf_keras.clips.decode import read_label
from taf_keras.config import DataConfig
from taf_keras.datasets import cityscapes as reader
from taf_keras.datasets import load, packed
from taf_keras.errors import BadFileError, UserError
from taf_keras.inspection.check import check_split

ROOT = Path(__file__).parents[2]
SEQUENCES, STILLS, LABELS = "leftImg8bit_sequence", "leftImg8bit", "gtFine"
KEYS = {"aachen_000000": [19], "aachen_000001": [19], "frankfurt_000000": [294, 325]}  # video -> key frames
FRAMES = {
    "aachen_000000": range(30),
    "aachen_000001": range(30),
    "frankfurt_000000": [*range(275, 305), *range(306, 336)],  # two clips of 30; frame 305 is in neither
}
# The official table, label by label (cityscapesscripts/helpers/labels.py): id of labelIds -> train id.
TRAIN_IDS = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10}
TRAIN_IDS |= {24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}


def path(root: Path, folder: str, video: str, number: int, kind: str = STILLS, split: str = "train") -> Path:
    city = video.split("_")[0]
    return root / folder / split / city / f"{city}_{video.split('_')[1]}_{number:06d}_{kind}.png"


def touch(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    return file


def save(file: Path, pixels: np.ndarray) -> Path:
    cv2.imwrite(str(touch(file)), pixels)
    return file


@pytest.fixture
def root(tmp_path) -> Path:
    """Two cities with sequences, key frames and everything that the label folder officially holds."""
    for video, numbers in FRAMES.items():
        for number in numbers:
            save(path(tmp_path, SEQUENCES, video, number), np.full((8, 16, 3), number % 256, np.uint8))
    for video, numbers in KEYS.items():
        for number in numbers:
            save(path(tmp_path, STILLS, video, number), np.full((8, 16, 3), number % 256, np.uint8))
            ids = np.arange(128, dtype=np.uint8).reshape(8, 16) % 34  # 0–33, each 3 or 4 times
            save(path(tmp_path, LABELS, video, number, "gtFine_labelIds"), ids)
            for kind in ("gtFine_color", "gtFine_instanceIds", "gtFine_instanceTrainIds"):
                touch(path(tmp_path, LABELS, video, number, kind))
            touch(path(tmp_path, LABELS, video, number, "gtFine_polygons").with_suffix(".json"))
    return tmp_path


def config(root: Path, **settings) -> DataConfig:
    return DataConfig(dataset="cityscapes", data_dir=str(root), **settings)


# --- Clips ------------------------------------------------------------------------------------------


def test_a_tree_of_two_cities_end_to_end(root):
    split = load.load_split(config(root), "train")
    bad = BadFiles()
    split = check_split(split, partners_within=15, bad=bad)
    assert [clip.name for clip in split.clips] == [
        "aachen_000000_000019",
        "aachen_000001_000019",
        "frankfurt_000000_000294",
        "frankfurt_000000_000325",
    ]
    assert [clip.video for clip in split.clips[1:3]] == ["aachen_000001", "frankfurt_000000"]
    # Short sequences: key 19 of 0–29, so −19 … +10, clamped to −15 on the left.
    assert split.clips[0].offsets(15) == tuple(range(-15, 11))
    # 294 ± 15 is 279 … 309 without 305; 325 ± 15 is 310 … 335: a clip goes on into the next one's frames.
    assert split.clips[2].offsets(15) == tuple(n for n in range(-15, 16) if n != 11)
    assert split.clips[3].offsets(15) == tuple(range(-15, 11))
    assert [f.number for f in split.clips[2].frames if f.label] == [294]
    assert read_label(split.clips[0].key_frame.label, split.classes)[0, :13].tolist() == [
        *[VOID] * 7,  # ids 0–6
        0,  # road, 7
        1,  # sidewalk, 8
        VOID,  # parking, 9
        VOID,  # rail track, 10
        2,  # building, 11
        3,  # wall, 12
    ]


def test_key_frames_in_reach_of_each_other_are_labelled_frames_of_both_clips(root):
    near, far = reader.load_split(str(root), "train", 31).clips[2:]
    assert [f.number for f in near.frames if f.label] == [294, 325]
    assert near.at(31).identity == far.key_frame.identity
    assert reader.load_split(str(root), "train", 0).clips[2].offsets(31) == (0,)


def test_key_frames_come_from_the_sequences_and_else_from_the_stills(root):
    clips = reader.load_split(str(root), "train", 15).clips
    assert {Path(f.image).parts[-4] for clip in clips for f in clip.frames} == {SEQUENCES}
    path(root, SEQUENCES, "aachen_000000", 19).unlink()
    clip = reader.load_split(str(root), "train", 15).clips[0]
    assert clip.key_frame.image == str(path(root, STILLS, "aachen_000000", 19))
    assert clip.offsets(15) == tuple(range(-15, 11))


def test_stills_alone_serve_a_baseline(root):
    (root / SEQUENCES).rename(root / "elsewhere")
    split = check_split(load.load_split(config(root), "train"))
    assert [clip.offsets(15) for clip in split.clips] == [(0,)] * 4
    with pytest.raises(UserError, match=r"000019_leftImg8bit\.png: key frame without a partner"):
        check_split(split, partners_within=15)


def test_sequences_alone_serve_as_well(root):
    (root / STILLS).rename(root / "elsewhere")
    assert len(reader.load_split(str(root), "train", 15).clips) == 4


def make_2975(root: Path, frames) -> Path:
    for sequence in range(2975):
        video = f"city{sequence % 18}_{sequence:06d}"  # 18 training cities
        touch(path(root, LABELS, video, 19, "gtFine_labelIds"))
        for number in frames:
            touch(path(root, SEQUENCES, video, number))
    return root


def test_the_papers_subsets_have_the_papers_counts(tmp_path):
    # Section 4.1: CS-0.2 and CS-0.5 are 595 and 1488 of 2975 clips.
    make_2975(tmp_path, [19])
    for share, count in ((1, 2975), (0.2, 595), (0.5, 1488)):
        split = load.load_split(config(tmp_path, subset=share), "train")
        assert len({clip.name for clip in split.clips}) == len(split.clips) == count


@pytest.mark.slow  # it writes 92,225 files
def test_all_frames_are_listed_in_seconds(tmp_path):
    make_2975(tmp_path, range(30))
    started = time.monotonic()
    split = reader.load_split(str(tmp_path), "train", 15)
    seconds = time.monotonic() - started
    assert sum(len(clip.frames) for clip in split.clips) == 2975 * 26  # −15 … +10
    assert seconds < 5  # 0.8 s measured


# --- Labels -----------------------------------------------------------------------------------------


def test_the_official_ids_and_no_others(root):
    classes = reader.class_table(str(root))
    assert len(classes) == len(set(classes.colours)) == 19
    assert classes.names[13] == "car"
    assert classes.colours[13] == (0, 0, 142)
    expected = {raw: TRAIN_IDS.get(raw, VOID) for raw in (*range(34), 255)}
    assert {raw: i for raw, i in enumerate(classes.lookup.tolist()) if i >= 0} == expected


@pytest.mark.parametrize("raw", [34, 254])
def test_an_unofficial_id_is_refused_and_255_is_void(root, raw):
    file = path(root, LABELS, "aachen_000000", 19, "gtFine_labelIds")
    save(file, np.full((8, 16), 255, np.uint8))
    split = reader.load_split(str(root), "train", 15)
    assert np.all(read_label(str(file), split.classes) == VOID)
    save(file, np.full((8, 16), raw, np.uint8))
    with pytest.raises(UserError, match=rf"labelIds\.png: label id {raw} .* allowed are 0–33, 255"):
        check_split(split)


def test_train_ids_are_read_where_there_is_nothing_else(root):
    with_train_ids_alone(root)
    split = check_split(reader.load_split(str(root), "train", 15))
    ids = read_label(split.clips[0].key_frame.label, split.classes)
    assert ids[0].tolist() == [*range(7, 19), 0, 0, 0, VOID]
    save(path(root, LABELS, "aachen_000000", 19, "gtFine_labelTrainIds"), np.full((8, 16), 19, np.uint8))
    with pytest.raises(UserError, match=r"labelTrainIds\.png: label id 19 .* allowed are 0–18, 255"):
        check_split(split)


def test_both_kinds_side_by_side_mean_label_ids(root):
    touch(path(root, LABELS, "aachen_000000", 19, "gtFine_labelTrainIds"))
    split = reader.load_split(str(root), "train", 15)
    assert split.classes is reader.CLASSES
    assert all(clip.key_frame.label.endswith("_labelIds.png") for clip in split.clips)


def with_train_ids_alone(root, split="train"):
    """Every class once; 7 is traffic_sign here, and road in labelIds files."""
    for video, numbers in KEYS.items():
        for number in numbers:
            path(root, LABELS, video, number, "gtFine_labelIds", split).unlink(missing_ok=True)
            ids = np.tile(np.uint8([*range(7, 19), 0, 0, 0, 255]), (8, 1))
            save(path(root, LABELS, video, number, "gtFine_labelTrainIds", split), ids)


def packed_by_command(root, tmp_path, *flags):
    pack.main(["--dataset=cityscapes", f"--data_dir={root}", f"--output_dir={tmp_path / 'packed'}", *flags])
    return packed.load_split(str(tmp_path / "packed"), "train", 15)


@pytest.mark.parametrize("train_ids", [False, True])
def test_packed_label_maps_mean_what_they_meant(root, tmp_path, train_ids):
    if train_ids:
        with_train_ids_alone(root)
    split, found = reader.load_split(str(root), "train", 15), packed_by_command(root, tmp_path)
    assert found.classes == split.classes
    label, expected = (each.clips[0].key_frame.label for each in (found, split))
    np.testing.assert_array_equal(read_label(label, found.classes), read_label(expected, split.classes))


def test_splits_with_other_ids_are_not_packed_into_one(root, tmp_path, capsys):
    for folder in (SEQUENCES, LABELS):
        (root / folder / "val").symlink_to(root / folder / "train")
    packed_by_command(root, tmp_path)  # both have labelIds
    (root / LABELS / "val").unlink()
    with_train_ids_alone(root, split="val")
    with pytest.raises(SystemExit):
        pack.main(["--dataset=cityscapes", f"--data_dir={root}", f"--output_dir={tmp_path / 'other'}"])
    assert capsys.readouterr().err == (
        f"error: --data_dir={root}: the label maps of val have other ids than those of train: give all "
        "splits one form, or pack one of them (--splits=train)\n"
    )


# --- What is refused --------------------------------------------------------------------------------


def only_train_ids(root):
    path(root, LABELS, "aachen_000001", 19, "gtFine_labelIds").rename(
        file := path(root, LABELS, "aachen_000001", 19, "gtFine_labelTrainIds")
    )
    path(root, STILLS, "aachen_000001", 19).unlink()  # which would have no label then
    return file


def label_without_image(root):
    for folder in (SEQUENCES, STILLS):
        path(root, folder, "aachen_000001", 19).unlink()
    return path(root, LABELS, "aachen_000001", 19, "gtFine_labelIds")


def still_without_label(root):
    path(root, LABELS, "aachen_000001", 19, "gtFine_labelIds").unlink()
    return path(root, STILLS, "aachen_000001", 19)


@pytest.mark.parametrize(
    ("damage", "reason", "left"),
    [
        (label_without_image, "label map without its image, aachen_000001_000019_leftImg8bit.png", 3),
        (still_without_label, "has no label map in .*gtFine/train", 3),
        (only_train_ids, "has no gtFine_labelIds beside it, others of .*gtFine/train have one", 3),
        (lambda root: touch(root / SEQUENCES / "train/aachen/aachen_000000_19_leftImg8bit.png"), "", 4),
        (lambda root: touch(root / SEQUENCES / "train/aachen/frame.png"), "", 4),
        (lambda root: touch(root / SEQUENCES / "train/aachen/bremen_000000_000019_leftImg8bit.png"), "", 4),
        (lambda root: touch(root / SEQUENCES / "train/aachen/aachen_000000_00001９_leftImg8bit.png"), "", 4),
        (lambda root: touch(root / STILLS / "train/aachen/aachen_000000_000019.png"), "", 4),
        (lambda root: touch(root / LABELS / "train/aachen/aachen_000000_000019_leftImg8bit.png"), "", 4),
        (lambda root: touch(root / LABELS / "train/aachen/aachen_000000_000019_labelIds.png"), "", 4),
    ],
)
def test_a_bad_file_is_refused_by_name_or_left_out(root, damage, reason, left):
    file = damage(root)
    kind = "gtFine_labelIds" if LABELS in file.parts else "leftImg8bit"
    reason = reason or rf"a file name here is aachen_000000_000019_{kind}\.png"
    with pytest.raises(BadFileError, match=rf"^{file}: {reason}$"):
        load.load_split(config(root), "train")
    bad = BadFiles("skip")
    split = load.load_split(config(root), "train", bad=bad)
    assert [error.file for error in bad.found] == [str(file)]
    assert len(split.clips) == left
    assert split.clips[0].offsets(15) == tuple(range(-15, 11))


def test_a_missing_or_empty_folder_is_named_with_the_layout(root, tmp_path):
    def refusal(data_dir: Path, split: str = "train") -> str:
        with pytest.raises(UserError) as error:
            reader.load_split(str(data_dir), split, 15)
        assert "\n" not in str(error.value)
        return str(error.value)

    layout = "Cityscapes has gtFine/SPLIT/CITY, and leftImg8bit_sequence/SPLIT/CITY or leftImg8bit/SPLIT/CITY"
    assert refusal(root, "val").startswith(f"{root}/gtFine/val: No such file or directory; {layout}")
    (root / "gtFine/val/munster").mkdir(parents=True)
    assert refusal(root, "val").startswith(f"{root}/gtFine/val: holds no label maps")
    touch(path(root, LABELS, "munster_000000", 19, "gtFine_labelIds", "val"))
    assert refusal(root, "val").startswith(f"{root}/leftImg8bit/val: No such file or directory; {layout}")
    (root / "leftImg8bit_sequence/val").mkdir()
    assert refusal(root, "val").startswith(f"{root}/leftImg8bit_sequence/val: holds no images; {layout}")


def test_a_folder_that_may_not_be_searched_is_named(root, monkeypatch):
    deny_access(monkeypatch, "is_dir")
    with pytest.raises(UserError, match=f"^--data_dir={root}: cannot be read: Permission denied$"):
        reader.splits(str(root))
    with pytest.raises(UserError, match=f"^{root}.*: cannot be read: Permission denied$"):
        reader.load_split(str(root), "train", 15)


def test_the_test_split_has_no_public_labels(root):
    touch(path(root, LABELS, "berlin_000000", 19, "gtFine_labelIds", "test"))
    assert reader.splits(str(root)) == ("train",)
    with pytest.raises(UserError, match="no public labels for test; allowed are train and val"):
        reader.load_split(str(root), "test", 15)
    (root / "gtFine" / "val").mkdir()
    assert load.evaluation_split(config(root)) == "val"


# --- Memory -----------------------------------------------------------------------------------------

READ_15_BATCHES = """
import resource, sys

from taf_keras.datasets.load import load_split
from taf_keras.config import Config, DataConfig, ModelConfig, RuntimeConfig, TrainingConfig
from taf_keras.pipeline.batches import training_batches

data = DataConfig(
    "cityscapes", sys.argv[1], image_size=(1024, 2048), crop_size=(720, 720), min_scale=0.5, max_scale=2.0
)
training, runtime = TrainingConfig(epochs=15, batch_size=16), RuntimeConfig(reader_threads=2)
config = Config(data, ModelConfig(), training=training, runtime=runtime)
shapes = [batch["partner"].shape for batch in training_batches(load_split(data, "train"), config)]
assert shapes == [(8, 720, 720, 3)] * 15, shapes
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # KiB
"""


@pytest.mark.slow  # half a minute
def test_the_papers_crops_are_read_in_less_than_2_gb(tmp_path):
    rng = np.random.default_rng(0)
    for sequence in range(6):
        video = f"aachen_{sequence:06d}"
        for number in range(17, 22):
            noise = cv2.GaussianBlur(rng.integers(0, 256, (1024, 2048, 3), np.uint8), (0, 0), 4)
            save(path(tmp_path, SEQUENCES, video, number), noise)  # some 2 MB, as the real ones have
        ids = rng.integers(0, 34, (32, 64), np.uint8).repeat(32, 0).repeat(32, 1)
        save(path(tmp_path, LABELS, video, 19, "gtFine_labelIds"), ids)
    command = [sys.executable, "-c", READ_15_BATCHES, str(tmp_path)]
    peak_kib = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert int(peak_kib) * 1024 < 2e9  # 0.9e9 measured, 0.7e9 of it before the first batch
