"""Labels and a video become a data set that trains, and what cannot be right is refused by name."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from labelled_street import (
    CLASSES,
    SIZE,
    contents,
    label,
    picture,
    run,
    street_masks,
    write_masks,
    write_still,
    write_video,
)

from taf_keras import check
from taf_keras.annotation.class_merge import merged
from taf_keras.annotation.import_report import proposed_size
from taf_keras.clips.clip import VOID, ClassTable
from taf_keras.clips.decode import read_image, read_label
from taf_keras.datasets import manifest
from taf_keras.errors import UserError
from taf_keras.label_formats.export import Export

KEYS = (10, 30, 50, 70, 90, 110)
CONTEXT = 3


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "street.avi")


@pytest.fixture
def masks(tmp_path) -> Path:
    return street_masks(tmp_path / "export", KEYS)


def imported(out: Path, masks: Path, movie: Path, *options) -> int:
    return run(masks, f"--video={movie}", f"--output_dir={out}", f"--temporal_context={CONTEXT}", *options)


def refused(capsys, code: int) -> str:
    """The one line of an error."""
    err = capsys.readouterr().err
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def expected(number: int, unlabelled: int = VOID, road: int = 0, car: int = 1) -> np.ndarray:
    return np.uint8([unlabelled, car, road])[label(number)]


def stored(out: Path, number: int, video: str = "street") -> np.ndarray:
    return cv2.imread(str(out / "labels" / video / f"{number:06d}.png"), cv2.IMREAD_UNCHANGED)


def keys(out: Path, split: str) -> list[int]:
    return [clip.key_number for clip in manifest.load_list(str(out), split).clips]


def shows(out: Path, number: int, index: int, video: str = "street") -> bool:
    """Whether the frame of this number is that of the video's index."""
    found = read_image(str(out / "frames" / video / f"{number:06d}.jpg")).astype(int)
    return np.abs(found - picture(index)[..., ::-1]).mean() < 6  # JPEG's loss


# --- What is made ---


def test_labels_and_a_video_become_clips(tmp_path, masks, movie):
    out = tmp_path / "my_data"
    assert imported(out, masks, movie) == 0
    splits = {name: manifest.load_split(str(out), name, CONTEXT) for name in ("train", "val")}
    numbers = {name: [clip.key_number for clip in split.clips] for name, split in splits.items()}
    assert numbers == {"train": [10, 30, 50, 70, 90], "val": [110]}  # a fifth, more than 2·3 frames apart
    assert splits["train"].classes.names == ("road", "car")
    assert splits["train"].classes.colours == tuple(CLASSES.values())
    for split in splits.values():
        for clip in split.clips:
            assert clip.offsets(CONTEXT) == tuple(range(-CONTEXT, CONTEXT + 1))
            found = read_label(clip.key_frame.label, split.classes)
            np.testing.assert_array_equal(found, expected(clip.key_number))
            assert all(shows(out, clip.key_number + n, clip.key_number + n) for n in (-CONTEXT, 0, 1))
    files = [path for path in contents(out) if path.startswith(("frames", "labels"))]
    assert len(files) == len(KEYS) * (2 * CONTEXT + 1) + len(KEYS)


def test_the_commands_at_the_end_are_right(tmp_path, masks, movie, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert imported(Path("my_data"), masks, movie) == 0
    *_, checks, train, predict = capsys.readouterr().out.splitlines()
    assert checks == "python -m taf_keras.check --dataset=manifest --data_dir=my_data"
    assert train == (
        "python train.py --flagfile=own_video --data_dir=my_data --image_size=48x72 --model_dir=runs/my_data"
    )
    assert (
        predict == f"python -m taf_keras.predict --model=runs/my_data/export {movie} --output_dir=predictions"
    )
    check.main(checks.split()[3:])  # ends the process where training would not start
    out = capsys.readouterr().out
    assert "training would start" in out
    assert "leakage: none" in out


def test_class_frequencies_are_those_of_the_labels(tmp_path, masks, movie, capsys):
    write_masks(tmp_path / "export", {}, {"tram": (1, 2, 3), "bus": (4, 5, 6)} | CLASSES)
    ids = label(30)
    ids[0, 0] = 4  # one pixel of a tram
    write_masks(tmp_path / "export", {"street_000030": ids}, {"tram": (1, 2, 3), "bus": (4, 5, 6)} | CLASSES)
    assert imported(tmp_path / "my_data", masks, movie) == 0
    lines = capsys.readouterr().out.splitlines()
    counts = sum(np.bincount(expected(number).ravel(), minlength=256) for number in KEYS)
    at = lines.index("class         pixels  frames")
    labelled = counts[:2].sum() + 1
    assert lines[at + 1].split() == ["tram", "0.01%", "1"]
    assert lines[at + 2].split() == ["bus", "–", "0"]
    assert lines[at + 3].split() == ["road", f"{counts[0] / labelled:.2%}", "6"]
    assert "one frame alone: tram" in lines[at + 6]
    assert lines[at + 7] == "absent, the model cannot learn them: bus"
    assert "give --background=background" in lines[at + 8]


def test_background_can_be_a_class(tmp_path, masks, movie):
    out = tmp_path / "my_data"
    assert imported(out, masks, movie, "--background=ground") == 0
    assert manifest.class_table(str(out)).names == ("ground", "road", "car")
    np.testing.assert_array_equal(stored(out, 30), expected(30, 0, 1, 2))
    again = tmp_path / "again"
    assert imported(again, masks, movie, "--background=road") == 0  # a class that there is
    np.testing.assert_array_equal(stored(again, 30), expected(30, 0, 0, 1))


def test_a_list_of_classes_gives_order_and_choice(tmp_path, masks, movie, capsys):
    (tmp_path / "classes.txt").write_text("car:9,9,9\nbike\n")
    out = tmp_path / "my_data"
    assert imported(out, masks, movie, f"--classes={tmp_path / 'classes.txt'}", "--background=rest") == 0
    classes = manifest.class_table(str(out))
    assert classes.names == ("rest", "car", "bike")
    assert classes.colours[1] == (9, 9, 9)
    assert "class road: not in --classes, void" in capsys.readouterr().out
    np.testing.assert_array_equal(stored(out, 30), expected(30, 0, VOID, 1))


def test_one_class_alone_is_refused_with_what_to_write(tmp_path, movie, capsys):
    masks = write_masks(tmp_path / "export", {f"street_{n:06d}": np.minimum(label(n), 1) for n in KEYS})
    line = refused(capsys, imported(tmp_path / "my_data", masks, movie))
    assert "the labels show the class car alone" in line
    assert "--background=background" in line
    assert not (tmp_path / "my_data").exists()
    assert imported(tmp_path / "my_data", masks, movie, "--background=background") == 0


def test_label_maps_without_a_class_are_not_used(tmp_path, masks, movie, capsys):
    write_masks(masks, {"street_000020": np.zeros(SIZE, np.uint8)})
    assert imported(tmp_path / "my_data", masks, movie) == 0
    assert "1 × label map without a pixel of a class: not used" in capsys.readouterr().out
    assert 20 not in keys(tmp_path / "my_data", "train")


# --- Sizes ---


def test_labels_of_another_size_are_scaled_by_the_nearest_pixel(tmp_path, masks):
    movie = write_video(tmp_path / "street.avi", scale=2)
    out = tmp_path / "my_data"
    assert imported(out, masks, movie) == 0
    np.testing.assert_array_equal(stored(out, 30), expected(30).repeat(2, 0).repeat(2, 1))
    assert read_image(str(out / "frames/street/000030.jpg")).shape[:2] == (96, 144)


def test_image_size_is_that_of_frames_and_labels(tmp_path, masks, movie):
    out = tmp_path / "my_data"
    assert imported(out, masks, movie, "--image_size=24x36") == 0
    assert read_image(str(out / "frames/street/000030.jpg")).shape[:2] == stored(out, 30).shape == (24, 36)
    assert set(np.unique(stored(out, 30))) == {0, 1, VOID}


def test_labels_of_another_aspect_ratio_are_named(tmp_path, masks, movie, capsys):
    ids = label(30)
    write_masks(masks, {"street_000030": ids.T, "street_000050": ids[:40]})
    assert imported(tmp_path / "my_data", masks, movie) == 1
    err = capsys.readouterr().err
    turned = (
        "its labels have 72x48 px, the frames of street 48x72: not the same aspect ratio (they look turned"
    )
    assert f"left out: street_000030.png: {turned}" in err
    assert "left out: street_000050.png: its labels have 40x72 px" in err
    assert keys(tmp_path / "my_data", "train") == [10, 70, 90, 110]


@pytest.mark.parametrize(
    ("size", "proposed"),
    [
        ((48, 72), (48, 72)),
        ((480, 640), (480, 640)),
        ((960, 1280), (480, 640)),
        ((1080, 1920), (352, 624)),  # 0.3 % off; 360 is no multiple of 16
        ((1920, 1080), (624, 352)),
        ((2160, 3840), (352, 624)),
        ((1000, 1000), (640, 640)),
    ],
)
def test_the_proposed_size_is_a_multiple_of_16_near_the_aspect_ratio(size, proposed):
    assert proposed_size(size) == proposed


# --- Which frame ---


def test_images_of_the_export_tell_that_numbers_begin_at_1(tmp_path, masks, movie, capsys):
    for number in KEYS[:3]:
        write_still(masks / "JPEGImages" / f"street_{number:06d}.png", number - 1)  # as ffmpeg counts
    out = tmp_path / "my_data"
    assert imported(out, masks, movie) == 0
    assert (
        "street: image N is the video's frame N -1, counted from 0 (3 matched at -1)"
        in capsys.readouterr().out
    )
    assert all(shows(out, number, number - 1) for number in (10, 28, 110))
    more = street_masks(tmp_path / "more", [20])  # without images: the shift is known
    assert imported(out, more, movie) == 0
    assert shows(out, 20, 19)


def test_an_image_that_is_another_frame_is_named(tmp_path, masks, movie, capsys):
    for number in KEYS:
        write_still(masks / "JPEGImages" / f"street_{number:06d}.png", number + 5 * (number == 50))
    assert imported(tmp_path / "my_data", masks, movie) == 1
    assert "left out: street 50: its image is more like frame 55 of the video" in capsys.readouterr().err
    assert 50 not in keys(tmp_path / "my_data", "train")


def test_another_video_is_refused(tmp_path, masks, capsys):
    for number in KEYS:
        write_still(masks / "JPEGImages" / f"street_{number:06d}.png", number)
    movie = write_video(tmp_path / "street.avi", range(1000, 1120))
    line = refused(capsys, imported(tmp_path / "my_data", masks, movie))
    assert "its frames are unlike the images that are named after them" in line
    assert not (tmp_path / "my_data").exists()


def test_stills_of_a_folder_are_compared_as_well(tmp_path, masks, movie, capsys):
    for number in KEYS:
        write_still(tmp_path / "stills" / f"street_{number:06d}.png", number)
    assert imported(tmp_path / "my_data", masks, movie, f"--frames={tmp_path / 'stills'}") == 0
    assert "street: images found at their frames: 6 matched at +0" in capsys.readouterr().out


def test_labels_without_a_frame_are_named(tmp_path, masks, movie, capsys):
    write_masks(masks, {"street_000500": label(1), "photo": label(1), "street_000118": label(118)})
    assert imported(tmp_path / "my_data", masks, movie) == 1
    err = capsys.readouterr().err
    assert "left out: photo.png: its name tells no frame of the videos: it must end in street_NNNNNN" in err
    assert f"left out: street 500: {movie} has no such frame" in err
    assert err.endswith("labels left out: 2, named above\n")
    assert keys(tmp_path / "my_data", "val") == [118]  # the video ends one frame after it
    assert not (tmp_path / "my_data/labels/street/000500.png").exists()


def test_no_usable_label_is_refused(tmp_path, movie, capsys):
    masks = street_masks(tmp_path / "export", KEYS, video="harbour")
    line = refused(capsys, imported(tmp_path / "my_data", masks, movie))
    assert "no label can be used; the first of 6: harbour_000010.png: its name tells no frame" in line


def test_a_frame_that_is_labelled_twice_counts_once(tmp_path, masks, movie, capsys):
    write_masks(masks, {"sub/street_000030": label(30), "sub/street_000050": label(51)})
    (masks / "SegmentationClass/sub").mkdir()
    write_masks(masks, {"sub/street_000030": label(30), "sub/street_000050": label(51)})
    assert imported(tmp_path / "my_data", masks, movie) == 1
    said = "left out: sub/street_000050.png: labels frame 50 of street otherwise than street_000050.png"
    assert said in capsys.readouterr().err
    np.testing.assert_array_equal(stored(tmp_path / "my_data", 50), expected(50))


def test_videos_have_names_of_their_own(tmp_path, movie, capsys):
    harbour = write_video(tmp_path / "harbour.avi", range(200, 300))
    masks = street_masks(tmp_path / "export", KEYS)
    street_masks(tmp_path / "export", [15, 40], video="harbour")
    assert imported(tmp_path / "my_data", masks, movie, f"--video={harbour}") == 0
    assert shows(tmp_path / "my_data", 15, 215, "harbour")
    assert sorted(keys(tmp_path / "my_data", "train")) == [10, 15, 30, 40, 50, 70, 90]
    other = tmp_path / "b" / "street.mp4"
    other.parent.mkdir()
    other.touch()
    line = refused(capsys, imported(tmp_path / "x", masks, movie, f"--video={other}"))
    assert "has the same name: rename one" in line


def test_frames_need_no_video(tmp_path, masks):
    for number in (n for key in KEYS for n in range(key - 2, key + 2)):
        write_still(tmp_path / "frames" / "street" / f"{number:06d}.png", number)
    out = tmp_path / "my_data"
    options = [f"--frames={tmp_path / 'frames'}", f"--output_dir={out}", "--temporal_context=5"]
    assert run(masks, *options) == 0
    clip = manifest.load_split(str(out), "train", 5).clips[0]
    assert clip.offsets(5) == (-2, -1, 0, 1)
    assert shows(out, 31, 31)


def test_stills_alone_have_no_partners(tmp_path, masks, capsys):
    for number in KEYS:
        write_still(tmp_path / "stills" / f"street_{number:06d}.png", number)
    assert run(masks, f"--frames={tmp_path / 'stills'}", f"--output_dir={tmp_path / 'my_data'}") == 0
    assert "no frame beside a labelled one: TAF has no partners" in capsys.readouterr().out


# --- The split ---


@pytest.mark.parametrize(("share", "val"), [(0, []), (0.5, [70, 90, 110])])
def test_the_share_for_validation(tmp_path, masks, movie, share, val):
    out = tmp_path / "my_data"
    assert imported(out, masks, movie, f"--val_share={share}") == 0
    assert manifest.splits(str(out)) == (("train", "val") if val else ("train",))
    assert keys(out, "train") == sorted(set(KEYS) - set(val))


def test_labels_near_those_of_validation_are_left_out_of_training(tmp_path, movie, capsys):
    masks = street_masks(tmp_path / "export", (10, 30, 50, 105, 110))
    out = tmp_path / "my_data"
    assert imported(out, masks, movie) == 0
    assert (keys(out, "train"), keys(out, "val")) == ([10, 30, 50], [110])
    said = "3 labelled frames for training, 1 for validation, 1 between them left out"
    assert said in capsys.readouterr().out


def test_too_few_labels_are_not_divided(tmp_path, movie, capsys):
    masks = street_masks(tmp_path / "export", (10, 30))
    assert imported(tmp_path / "my_data", masks, movie) == 0
    assert (tmp_path / "my_data/val.csv").read_text() == "clip,frame,image,label\n"
    assert "0 for validation: none is set aside" in capsys.readouterr().out


# --- Again ---


def test_more_classes_than_a_byte_tells_are_refused():
    export = Export({f"class {i}": None for i in range(300)})
    table = ClassTable(("class 299",), ((1, 2, 3),))
    for wanted in (None, table):
        with pytest.raises(UserError, match="300 classes; allowed are 254"):
            merged(export, wanted, None, None)


def test_the_same_command_changes_nothing(tmp_path, masks, movie):
    out = tmp_path / "my_data"
    assert imported(out, masks, movie) == 0
    before = contents(out)
    assert imported(out, masks, movie) == 0
    assert contents(out) == before


@pytest.mark.parametrize("killed_at", [1, 8, 46, 51])
def test_a_killed_command_can_be_repeated(tmp_path, masks, movie, monkeypatch, killed_at):
    whole = tmp_path / "whole"
    assert imported(whole, masks, movie) == 0
    out, replace, count = tmp_path / "my_data", os.replace, iter(range(1000))

    def kill(source, destination):
        if next(count) == killed_at:
            raise KeyboardInterrupt
        replace(source, destination)

    monkeypatch.setattr(os, "replace", kill)  # record, classes, 42 frames, 6 labels, val.csv, train.csv
    assert imported(out, masks, movie) == 130
    monkeypatch.setattr(os, "replace", replace)
    assert not (out / "train.csv").exists()
    assert imported(out, masks, movie) == 0
    assert contents(out) == contents(whole)


def test_more_labels_are_added_and_classes_keep_their_ids(tmp_path, masks, movie, capsys):
    out = tmp_path / "my_data"
    assert imported(out, masks, movie) == 0
    before = contents(out)
    more = write_masks(
        tmp_path / "more",
        {"street_000020": np.uint8([0, 2, 1])[label(20)], "street_000116": label(116)},
        {"bus": (1, 2, 3), "road": (128, 64, 128)},  # the road has other numbers here, and there is a bus
    )
    assert imported(out, more, movie) == 0
    assert manifest.class_table(str(out)).names == ("road", "car", "bus")
    np.testing.assert_array_equal(stored(out, 20), expected(20, VOID, 0, 2))
    after = contents(out)
    assert {k: v for k, v in after.items() if k in before and k.startswith(("labels", "frames"))} == {
        k: v for k, v in before.items() if k.startswith(("labels", "frames"))
    }
    assert sorted(keys(out, "train") + keys(out, "val")) == sorted([*KEYS, 20, 116])


def test_a_label_that_is_there_stays_when_others_are_added(tmp_path, masks, movie, capsys):
    out = tmp_path / "my_data"
    assert imported(out, masks, movie) == 0
    more = street_masks(tmp_path / "more", [20])
    write_masks(more, {"street_000030": label(35), "street_000050": label(50)})
    assert imported(out, more, movie) == 1
    assert "left out: street 30: has another label in" in capsys.readouterr().err
    np.testing.assert_array_equal(stored(out, 30), expected(30))


def test_an_export_of_all_labels_replaces_them(tmp_path, masks, movie):
    out = tmp_path / "my_data"
    assert imported(out, masks, movie, "--image_size=24x36") == 0
    write_masks(masks, {"street_000030": label(35)})
    assert imported(out, masks, movie, "--background=ground") == 0
    assert manifest.class_table(str(out)).names == ("road", "car", "ground")
    np.testing.assert_array_equal(stored(out, 30), expected(35, 2, 0, 1))
    assert read_image(str(out / "frames/street/000031.jpg")).shape[:2] == SIZE


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--background=ground"], "its labels were made with no --background: give the same"),
        (["--image_size=24x36"], "the frames of street have --image_size 48x72, not 24x36"),
        (
            ["--classes={}"],
            "class car would get another id than in the data set, whose classes are road, car",
        ),
    ],
)
def test_what_would_change_old_labels_is_refused(tmp_path, masks, movie, capsys, options, fault):
    out = tmp_path / "my_data"
    assert imported(out, masks, movie) == 0
    before = contents(out)
    (tmp_path / "classes.txt").write_text("car\nroad\n")
    more = street_masks(tmp_path / "more", [20])
    capsys.readouterr()
    options = [option.format(tmp_path / "classes.txt") for option in options]
    assert fault in refused(capsys, imported(out, more, movie, *options))
    assert contents(out) == before


def test_labels_of_another_video_of_the_same_name_are_not_added(tmp_path, masks, movie, capsys):
    out = tmp_path / "my_data"
    assert imported(out, masks, movie) == 0
    capsys.readouterr()
    other = write_video(tmp_path / "street.avi", range(200, 260))
    line = refused(capsys, imported(out, street_masks(tmp_path / "more", [20]), other))
    assert f"the frames of street come from a video of {movie.stat().st_size} bytes, not a video of" in line


def test_a_data_set_of_ones_own_is_not_overwritten(tmp_path, masks, movie, capsys):
    out = tmp_path / "my_data"
    out.mkdir()
    (out / "train.csv").write_text("clip,frame,image,label\n")
    line = refused(capsys, imported(out, masks, movie))
    assert "has a train.csv that was not imported: choose another --output_dir" in line
    assert (out / "train.csv").read_text() == "clip,frame,image,label\n"


def test_frames_that_train_no_more_are_said(tmp_path, movie, capsys):
    out = tmp_path / "my_data"
    assert imported(out, street_masks(tmp_path / "a", (10, 30, 50, 70, 90)), movie) == 0
    assert keys(out, "val") == [90]
    assert imported(out, street_masks(tmp_path / "b", (2, 14, 18, 22, 26)), movie) == 0
    assert keys(out, "val") == [70, 90]
    said = "1 × labelled frame that was for training and is for validation now"
    assert capsys.readouterr().out.count(said) == 1


# --- Options ---


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ([], "give --video=FILE, or --frames=FOLDER"),
        (["--video={video}", "--temporal_context=-1"], "--temporal_context=-1: must be from 0 to 10000"),
        (["--video={video}", "--val_share=1"], "--val_share=1.0: must be from 0 to 0.9"),
        (["--video={video}", "--image_size=9"], "--image_size=9: write HEIGHTxWIDTH"),
        (["--video={video}", "--format=yolo"], "invalid choice: 'yolo'"),
        (["--frames={video}"], "is no folder"),
        (["--video={masks}/labelmap.txt"], "is not a readable video"),
        (["--video={video}", "--classes=nowhere.txt"], "nowhere.txt: cannot be read: No such file"),
        (["--video={video}", "--background= "], "--background: give the name of a class"),
    ],
)
def test_options_are_checked(tmp_path, masks, movie, capsys, options, fault):
    options = [option.format(video=movie, masks=masks) for option in options]
    assert fault in refused(capsys, run(masks, f"--output_dir={tmp_path / 'x'}", *options))
    assert not (tmp_path / "x").exists()


def test_a_format_can_be_named(tmp_path, masks, movie, capsys):
    line = refused(capsys, imported(tmp_path / "x", masks, movie, "--format=cvat_xml"))
    assert line == "error: export: holds 0 files .xml; give the one to read\n"
    assert imported(tmp_path / "x", masks, movie, "--format=cvat_mask") == 0
    assert json.loads((tmp_path / "x/classes.json").read_text())["void"] == VOID
