"""The synthetic scenes: same seed, same bytes; what moves and drifts, and nothing else, changes them."""

import concurrent.futures
import dataclasses
import hashlib
import math
import multiprocessing
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from taf_keras import streets as synthetic
from taf_keras.clips.clip import VOID
from taf_keras.errors import UserError
from taf_keras.streets import CLASSES, SyntheticConfig, cache, load_split
from taf_keras.streets.generate import make_clip, make_clips
from taf_keras.streets.lighting import draw_appearance, enlarge
from taf_keras.streets.motion import Pose, draw_path, ou_process
from taf_keras.streets.paint import Canvas, View, paint_part
from taf_keras.streets.parts import Board, Wall
from taf_keras.streets.texture import make_texture, texel_grid

TINY = SyntheticConfig(height=24, width=32, train_clips=2, val_clips=2, test_clips=2, half_length=3)


def _bytes(clips):
    return [(images.tobytes(), labels.tobytes()) for images, labels in clips]


def _refuse(*_):
    raise AssertionError("generated again")


# --- clips as a function of the seed ---------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_in_one_process_or_two():
    once = _bytes(make_clips(TINY, "train", processes=1))
    assert once == _bytes(make_clips(TINY, "train", processes=1))
    assert once == _bytes(make_clips(TINY, "train", processes=2))


def test_generation_leaves_the_callers_opencv_threads_alone():
    before = cv2.getNumThreads()
    list(make_clips(TINY, "train", processes=2))
    assert cv2.getNumThreads() == before


def test_seed_split_and_clip_each_make_another_scene():
    still = replace(TINY, still_share=1.0, object_speed=0.0, drift=0.0, sensor_noise=0.0)
    clips = [
        make_clip(replace(still, scene_seed=seed), split, index)
        for seed in (0, 1)
        for split in ("train", "val", "test")
        for index in (0, 1)
    ]
    keys = {images[images.shape[0] // 2].tobytes() for images, _ in clips}
    assert len(keys) == len(clips) == 12


def test_a_clip_does_not_depend_on_how_many_there_are():
    many = list(make_clips(replace(TINY, train_clips=4, test_clips=9), "train"))
    assert _bytes(many[:2]) == _bytes(make_clips(TINY, "train"))


def test_a_frame_does_not_depend_on_which_frames_are_rendered(monkeypatch):
    dense, _ = make_clip(TINY, "train", 0)
    monkeypatch.setattr(SyntheticConfig, "offsets", lambda *_: (-3, 0, 2))
    sparse, _ = make_clip(TINY, "train", 0)
    np.testing.assert_array_equal(sparse, dense[[0, 3, 5]])  # offsets -3 … 3


def test_bytes_are_pinned_to_the_generator_version():
    # Where this fails after a change of the generator, raise GENERATOR_VERSION and pin the new digest:
    # caches on users' disks still hold the old scenes.
    digest = hashlib.sha256()
    for array in make_clip(SyntheticConfig(height=24, width=32, half_length=3), "val", 0):
        digest.update(array.tobytes())
    assert (synthetic.GENERATOR_VERSION, digest.hexdigest()[:16]) == (1, "71cc31a9d975795b")


def test_generation_does_not_import_tensorflow():
    code = "import sys, taf_keras.streets as s; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- what a split holds ----------------------------------------------------------------------------


def test_frames_have_the_promised_numbers_shapes_and_labels(tmp_path):
    config = replace(TINY, half_length=7)
    for split, offsets in {
        "train": range(-7, 8),
        "val": (-7, -3, 0, 3, 7),
        "test": (-7, -3, 0, 3, 7),
    }.items():
        loaded = load_split(config, split, str(tmp_path))
        assert loaded.name == split
        assert loaded.classes is CLASSES
        assert len({clip.name for clip in loaded.clips}) == len(loaded.clips) == 2
        for clip in loaded.clips:
            assert clip.offsets(100) == tuple(offsets)
            for frame in clip.frames:
                assert frame.image.shape == (24, 32, 3)
                assert frame.label.shape == (24, 32)
                assert frame.image.dtype == frame.label.dtype == np.uint8
                assert set(np.unique(frame.label)) <= {*range(len(CLASSES)), VOID}


def test_every_class_occurs():
    config = SyntheticConfig(height=48, width=64, val_clips=12, half_length=0)
    labels = np.concatenate([labels for _, labels in make_clips(config, "val")])
    share = np.bincount(labels.ravel(), minlength=256)[: len(CLASSES)] / labels.size
    assert share.min() > 0.001
    assert share[CLASSES.names.index("road")] < 0.5


@pytest.mark.parametrize(
    "setting", [{"width": 4}, {"half_length": 100}, {"drift": -1}, {"still_share": 2}, {"test_clips": 0}]
)
def test_impossible_settings_are_named(setting):
    with pytest.raises(UserError, match=next(iter(setting))):
        SyntheticConfig(**setting)


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(UserError, match="train, val, test"):
        load_split(TINY, "trainval", str(tmp_path))


# --- geometry --------------------------------------------------------------------------------------


def _view():
    # 1.5 m above the ground, looking along z: u = 50 + 100 x / z, v = 40 + 100 (1.5 - y) / z.
    return View(focal=100, u0=50, v0=40, x=0, y=1.5, z=0)


def _plain(height_m, width_m, label=7):
    return make_texture(
        np.full((*texel_grid(height_m, width_m, 10), 3), 90, np.float32), label, height_m, width_m
    )


def test_a_board_lands_where_the_pinhole_camera_sees_it():
    canvas = Canvas(100, 100)
    paint_part(canvas, _view(), Board(_plain(2, 1), x0=-1, x1=1, y0=0, y1=2, z=8), x=0.5, z=2)
    # x from -0.5 to 1.5 at z = 10: u 45 … 65; y = 2 and 0: v 35 and 55.
    rows, columns = np.nonzero(canvas.texels)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (35, 55, 45, 65)
    assert set(canvas.texels.view(np.uint8).reshape(100, 100, 4)[35:55, 45:65, 3].ravel()) == {7}


def test_a_wall_tapers_with_distance_and_shows_one_side_only():
    wall = Wall(_plain(3, 10), x=2, z0=5, z1=15, y0=0, y1=3, faces=-1)
    canvas = Canvas(100, 100)
    paint_part(canvas, _view(), wall)
    columns = np.nonzero(canvas.texels.any(0))[0]
    assert (columns.min(), columns.max() + 1) == (63, 90)  # u = 50 + 200 / 15 and 50 + 200 / 5
    # Column centre 70.5 is at z = 200 / 20.5 = 9.76 m, where 3 m are 30.75 pixels.
    assert np.count_nonzero(canvas.texels[:, 70]) in (30, 31)
    canvas = Canvas(100, 100)
    paint_part(canvas, _view(), replace(wall, faces=1))
    assert not canvas.texels.any()


# --- motion and drift ------------------------------------------------------------------------------


def test_without_motion_and_drift_all_frames_are_equal():
    frozen = replace(TINY, still_share=1.0, object_speed=0.0, drift=0.0, sensor_noise=0.0)
    for split in ("train", "test"):
        images, labels = make_clip(frozen, split, 1)
        assert all((image == images[0]).all() for image in images)
        assert all((label == labels[0]).all() for label in labels)


@pytest.mark.parametrize(
    ("change", "labels_move"),
    [({"drift": 1.0}, False), ({"sensor_noise": 0.03}, False), ({"still_share": 0.0}, True)],
)
def test_each_source_of_change_changes_frames_by_itself(change, labels_move):
    frozen = replace(TINY, still_share=1.0, object_speed=0.0, drift=0.0, sensor_noise=0.0)
    images, labels = make_clip(replace(frozen, **change), "train", 1)
    assert (images[0] != images[-1]).mean() > 0.1
    assert (labels[0] != labels[-1]).any() == labels_move


def test_the_share_of_still_clips_is_kept_and_speeds_stay_slow():
    config = SyntheticConfig(pose_jitter=0.0)
    paths = [draw_path(np.random.default_rng(seed), config) for seed in range(400)]
    still = np.mean([path[15] == path[-15] == Pose() for path in paths])
    assert abs(still - 0.15) < 0.06  # 3 standard errors of a share of 0.15 in 400: 0.054
    assert max(abs(path[15].z_m) for path in paths) <= 15 * 0.3


def test_the_drift_process_forgets_with_its_correlation_time():
    # 400 processes of 400 steps: the autocorrelation at lag n is exp(-n / 3), whatever the step.
    values = ou_process(np.random.default_rng(0), steps=400, count=400, correlation=3.0)
    assert abs(values.var() - 1) < 0.03
    for lag, expected in ((1, 0.7165), (3, 0.3679), (6, 0.1353)):
        assert abs((values[lag:] * values[:-lag]).mean() - expected) < 0.03
    assert abs(math.exp(-1 / 3) - 0.7165) < 1e-4
    assert abs(values[0].var() - 1) < 0.25  # stationary from the first frame: no settling in


def test_appearance_varies_more_within_clips_than_between_them():
    config = SyntheticConfig(half_length=90, local_light=0.25)
    clips = [draw_appearance(np.random.default_rng(seed), config) for seed in range(200)]
    local = np.stack([[frame.local.ravel() for frame in clip.values()] for clip in clips])
    within = local.std(axis=1).mean()
    # 181 frames hold about 181 / 6 independent ones, so a clip's mean has variance 0.3² + 6 / 181.
    between = local.mean(axis=1).std()
    assert within == pytest.approx(0.25, rel=0.05)
    assert between == pytest.approx(0.25 * math.sqrt(0.09 + 6 / 181), rel=0.1)


def test_brightness_of_images_varies_more_within_clips_than_between_them():
    config = replace(TINY, train_clips=10, half_length=12)
    brightness = np.stack(
        [images.mean(axis=(1, 2, 3)) for images, _ in make_clips(config, "train", processes=1)]
    )
    assert brightness.var(axis=1).mean() > 1.2 * brightness.mean(axis=1).var()


def test_the_local_light_is_enlarged_smoothly():
    grid = np.random.default_rng(0).normal(size=(3, 4, 3))
    for size in ((24, 32), (9, 13)):
        expected = cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC)  # another cubic: a = -0.75
        assert np.corrcoef(enlarge(grid, *size).ravel(), expected.ravel())[0, 1] > 0.99
    np.testing.assert_allclose(enlarge(np.full((3, 4, 3), 0.7), 10, 11), 0.7)


# --- cache -----------------------------------------------------------------------------------------


def _arrays(split):
    return [(f.image.tobytes(), f.label.tobytes()) for clip in split.clips for f in clip.frames]


def test_a_second_call_reads_the_cache(tmp_path, monkeypatch):
    calls = []
    first = load_split(TINY, "val", str(tmp_path), lambda *progress: calls.append(progress))
    assert calls == [(1, 2), (2, 2)]
    monkeypatch.setattr(synthetic, "make_clips", _refuse)
    assert _arrays(load_split(TINY, "val", str(tmp_path), _refuse)) == _arrays(first)
    assert not list(tmp_path.glob(".*"))  # nothing unfinished is left behind


def test_only_what_a_split_depends_on_is_in_its_cache_key():
    assert cache.entry_name(TINY, "train") == cache.entry_name(replace(TINY, test_clips=7), "train")
    names = {cache.entry_name(TINY, split) for split in ("train", "val", "test")}
    for field in dataclasses.fields(TINY):
        if field.name not in ("val_clips", "test_clips"):
            value = getattr(TINY, field.name)
            changed = replace(TINY, **{field.name: value / 2 if isinstance(value, float) else value + 1})
            names.add(cache.entry_name(changed, "train"))
    assert len(names) == 3 + len(dataclasses.fields(TINY)) - 2


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "index", "file"])
def test_a_damaged_entry_is_generated_again(tmp_path, damage):
    good = _arrays(load_split(TINY, "val", str(tmp_path)))
    entry = tmp_path / cache.entry_name(TINY, "val")
    images = entry / "images.npy"
    content = bytearray(images.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
        images.write_bytes(content)
    elif damage == "truncate":
        images.write_bytes(content[:-100])
    elif damage == "delete":
        images.unlink()
    elif damage == "index":
        (entry / "index.json").write_text("{")
    else:
        entry.rename(tmp_path / "elsewhere")
        entry.write_text("a file where the folder should be")
    calls = []
    again = _arrays(load_split(TINY, "val", str(tmp_path), lambda *progress: calls.append(progress)))
    assert len(calls) == 2
    assert again == good == _arrays(load_split(TINY, "val", str(tmp_path), _refuse))


def _load_in_child(folder):
    return _arrays(load_split(TINY, "val", folder))


def test_two_processes_at_once_both_succeed(tmp_path):
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        one, two = pool.map(_load_in_child, [str(tmp_path)] * 2)
    assert one == two
    assert [path.name for path in tmp_path.iterdir()] == [cache.entry_name(TINY, "val")]


def test_losing_the_race_is_no_error(tmp_path):
    def generate():
        load_split(TINY, "val", str(tmp_path))  # another process finishes meanwhile
        return make_clips(TINY, "val")

    images, _ = cache.load(TINY, "val", str(tmp_path), generate)
    assert images.shape == (2, 3, 24, 32, 3)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(UserError, match=rf"{folder}.*--data_dir"):
            load_split(TINY, "val", str(folder))


def test_the_default_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load_split(TINY, "val")
    assert (tmp_path / "taf-keras" / cache.entry_name(TINY, "val") / "index.json").exists()
