"""Each label goes to its own video: by its folder, and however an umlaut is written."""

import unicodedata

import cv2
import numpy as np
from labelled_street import label, run, street_masks, write_masks, write_still, write_video

KEYS = (10, 30, 50, 70, 90, 110)


def test_labels_in_the_folder_of_another_video_are_not_this_ones(tmp_path, capsys):
    masks, out, movie = tmp_path / "export", tmp_path / "my_data", write_video(tmp_path / "street.avi")
    for video in ("park", "street"):
        (masks / "SegmentationClass" / video).mkdir(parents=True)
        write_masks(masks, {f"{video}/{n:06d}": label(n + (video == "park")) for n in KEYS})
    assert run(masks, f"--video={movie}", f"--output_dir={out}", "--temporal_context=3") == 1
    err = capsys.readouterr().err
    assert "left out: park/000010.png: its name tells no frame of the videos" in err
    assert "left out: street" not in err
    stored = cv2.imread(str(out / "labels/street/000030.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, np.uint8([255, 1, 0])[label(30)])


def test_names_with_umlauts_as_macos_writes_them_are_of_the_video(tmp_path, capsys):
    name = unicodedata.normalize("NFC", "süd")
    on_macos = unicodedata.normalize("NFD", name)
    movie = write_video(tmp_path / f"{name}.avi")
    masks = street_masks(tmp_path / "export", KEYS, on_macos)
    for n in KEYS:
        write_still(masks / "JPEGImages" / f"{name}_{n:06d}.png", n)
    write_still(tmp_path / "stills" / on_macos / "000010.png", 10)
    options = [f"--video={movie}", f"--output_dir={tmp_path / 'my_data'}", "--temporal_context=3"]
    assert run(masks, *options) == 0
    assert "images found at their frames: 6 " in capsys.readouterr().out
    assert run(masks, *options, f"--frames={tmp_path / 'stills'}") == 0
