"""The packed form gives what the files gave, and nothing where it is not whole."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from conftest import write_camvid

from taf_keras import pack
from taf_keras.clips import decode
from taf_keras.clips.bad_files import BadFiles
from taf_keras.command_line import parse_config
from taf_keras.config import Config, DataConfig, TrainingConfig
from taf_keras.datasets import load, packed
from taf_keras.errors import BadFileError, UserError
from taf_keras.pipeline.batches import evaluation_batches, training_batches
from taf_keras.pipeline.examples import TrainingExamples

ROOT = Path(__file__).parents[2]
CONTEXT = 4
STILLS = {"0001TP": (100, 103, 110, 130), "Seq05VD": (50, 60)}  # 100 and 103 are partners of each other


def write_clips(root: Path) -> Path:
    """Six training clips with JPEG frames around their stills, and two validation clips."""
    names = [f"{video}_{number:06d}" for video, numbers in STILLS.items() for number in numbers]
    write_camvid(root, {"train": names, "val": ["0016E5_07959", "0016E5_07961"]})
    rng = np.random.default_rng(1)
    for video, stills in STILLS.items():
        folder = root / "frames" / video
        folder.mkdir(parents=True)
        for number in sorted({still + n for still in stills for n in (-5, -4, -1, 2, 4)} - {*stills}):
            cv2.imwrite(str(folder / f"{number:06d}.jpg"), rng.integers(0, 256, (48, 64, 3), np.uint8))
    return root


def packed_by_command(source: Path, target: Path, *flags: str) -> Path:
    arguments = [f"--data_dir={source}", f"--output_dir={target}", f"--temporal_context={CONTEXT}", *flags]
    pack.main(arguments if "--dataset=packed" in flags else ["--dataset=camvid", *arguments])
    return target


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    return write_clips(tmp_path_factory.mktemp("files") / "camvid")


@pytest.fixture(scope="module")
def shards(files, tmp_path_factory) -> Path:
    """Two shards of training clips: a clip's six frames of random pixels have about 30 kB."""
    folder = tmp_path_factory.mktemp("packed")
    data = DataConfig("camvid", str(files), temporal_context=CONTEXT)
    pack.pack(data, folder, ("train", "val"), shard_bytes=100_000)
    return folder


@pytest.fixture
def damaged(shards, tmp_path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(shards, tmp_path / "copy"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def load_train(folder: Path, on_bad_file="refuse", temporal_context=CONTEXT):
    return packed.load_split(str(folder), "train", temporal_context, BadFiles(on_bad_file))


# --- The same data ----------------------------------------------------------------------------------


def batches_of(dataset: str, folder: Path, **settings) -> list[dict[str, np.ndarray]]:
    settings = {
        "temporal_context": CONTEXT,
        "crop_size": (32, 48),
        "min_scale": 0.5,
        "max_scale": 2,
    } | settings
    data = DataConfig(dataset, str(folder), **settings)
    config = Config(data, training=TrainingConfig(epochs=4, batch_size=4))
    found = list(training_batches(load.load_split(data, "train"), config))
    found += list(evaluation_batches(load.load_split(data, "val"), data.image_size))
    return [{name: x.numpy() for name, x in batch.items()} for batch in found]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"subset": 0.5, "subset_seed": 2},  # leaves out 103, the partner of 100
        {"label_fraction": 0.5},
        {"subset": 0.7, "label_fraction": 0.5, "image_size": (40, 60)},
        {"labels": "all"},
        {"labels": "all", "temporal_context": 2},
    ],
    ids=str,
)
def test_batches_are_the_same(files, shards, settings):
    expected, found = batches_of("camvid", files, **settings), batches_of("packed", shards, **settings)
    assert len(found) == len(expected) >= 5
    for a, b in zip(found, expected, strict=True):
        assert list(a) == list(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert len({batch["image"].tobytes() for batch in found}) == len(found)


def test_clips_are_the_same(files, shards):
    for name in ("train", "val"):
        expected = load.load_split(DataConfig("camvid", str(files), temporal_context=CONTEXT), name)
        found = packed.load_split(str(shards), name, CONTEXT)
        assert found.classes == expected.classes
        assert [(c.name, c.video, c.key_number) for c in found.clips] == [
            (c.name, c.video, c.key_number) for c in expected.clips
        ]
        for a, b in zip(found.clips, expected.clips, strict=True):
            assert [frame.number for frame in a.frames] == [frame.number for frame in b.frames]
            assert [frame.identity for frame in a.frames] == [
                Path(frame.identity).relative_to(files).as_posix() for frame in b.frames
            ]
            for x, y in zip(a.frames, b.frames, strict=True):
                assert decode.read_bytes(x.image) == Path(y.image).read_bytes()
                assert (x.label is None) == (y.label is None)
                assert x.label is None or decode.read_bytes(x.label) == Path(y.label).read_bytes()
    assert packed.splits(str(shards)) == ("train", "val")
    assert packed.class_table(str(shards)) == expected.classes


def test_only_what_is_drawn_is_read(shards, monkeypatch):
    read, original = [], decode.read_bytes
    monkeypatch.setattr(decode, "read_bytes", lambda s, *slice: read.append(s.name) or original(s, *slice))
    data = DataConfig("packed", str(shards), temporal_context=CONTEXT)
    split = load.load_split(data, "train")
    assert read == []
    with_partner = 0
    for position in range(20):
        read.clear()
        example = TrainingExamples.of(split, Config(data))(position)
        (clip,) = (c for c in split.clips if c.key_frame.image.name == read[0])
        partner = clip.at(int(example["offset_frames"])).image.name
        files = {read[0], clip.key_frame.label.name, partner}
        assert set(read) == files
        assert len(read) == len(files)
        with_partner += partner != read[0]
    assert with_partner > 5


def test_shards_are_tfrecords(files, shards):
    """TensorFlow's own reader, which checks the checksums, finds the files as they were."""
    lists = {name: tf.io.FixedLenSequenceFeature([], tf.string, True) for name in ("name", "image", "label")}
    features = lists | {
        "clip": tf.io.FixedLenFeature([], tf.string),
        "video": tf.io.FixedLenFeature([], tf.string),
        "key_number": tf.io.FixedLenFeature([], tf.int64),
        "number": tf.io.FixedLenSequenceFeature([], tf.int64, True),
    }
    split = load.load_split(DataConfig("camvid", str(files), temporal_context=CONTEXT), "train")
    names = sorted(str(path) for path in shards.glob("train-*"))
    assert 1 < len(names) < len(split.clips)
    records = list(tf.data.TFRecordDataset(names))
    for clip, record in zip(split.clips, records, strict=True):
        found = {name: x.numpy() for name, x in tf.io.parse_single_example(record, features).items()}
        assert (found["clip"].decode(), found["video"].decode()) == (clip.name, clip.video)
        assert found["key_number"] == clip.key_number
        assert found["number"].tolist() == [frame.number for frame in clip.frames]
        assert [files / name.decode() for name in found["name"]] == [Path(f.image) for f in clip.frames]
        assert list(found["image"]) == [Path(f.image).read_bytes() for f in clip.frames]
        assert list(found["label"]) == [Path(f.label).read_bytes() if f.label else b"" for f in clip.frames]


def test_the_same_data_set_gives_the_same_bytes(files, shards, tmp_path):
    """Wherever it lies, and from its packed form too."""
    moved = Path(shutil.copytree(files, tmp_path / "elsewhere"))
    direct = packed_by_command(moved, tmp_path / "direct", "--temporal_context=1")
    again = packed_by_command(shards, tmp_path / "again", "--dataset=packed", "--temporal_context=1")
    assert contents(direct) == contents(again)
    assert len(contents(direct)) == 3
    with pytest.raises(UserError, match=r"--temporal_context=2: .* at most 1"):
        load_train(direct, temporal_context=2)


# --- Damage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_damaged_shard_is_named(damaged, damage):
    shard = damaged / "train-00001.tfrecord"
    whole = load_train(damaged)
    lost = [clip.name for clip in whole.clips if clip.key_frame.image.path == str(shard)]
    assert lost
    if damage == "missing":
        shard.unlink()
    else:
        os.truncate(shard, shard.stat().st_size - 1)
    with pytest.raises(BadFileError, match=r"train-00001\.tfrecord: "):
        load_train(damaged)
    assert {clip.name for clip in load_train(damaged, "skip").clips} == {c.name for c in whole.clips} - {
        *lost
    }


def in_first_clip(name, value):
    return lambda index: index["splits"]["train"][0].update({name: value})


def in_first_image(name, value):
    return lambda index: index["splits"]["train"][0]["frames"][0]["image"].update({name: value})


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.pop("shards"),
        lambda index: index.update(splits=[]),
        lambda index: index.update(format=2),
        lambda index: index.update(temporal_context="4"),
        in_first_clip("shard", "train-00077.tfrecord"),
        in_first_clip("key_number", 101),
        in_first_clip("name", 5),
        in_first_clip("frames", [[]]),
        in_first_image("begin", -1),
        in_first_image("begin", 1.5),
        in_first_image("length", 10**9),
        in_first_image("length", True),
        in_first_image("name", None),
        lambda index: [f.update(label=None) for f in index["splits"]["train"][0]["frames"]],
        lambda index: index["classes"].update(names="abc"),
        lambda index: index["classes"].update(raw_ids=[[0, 11]]),
        lambda index: index["classes"].update(raw_colours=[[[0, 0, 256], 1]]),
    ],
)
def test_a_broken_index_is_named(damaged, change):
    path = damaged / "index.json"
    index = json.loads(path.read_bytes())
    change(index)
    path.write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"index\.json|^clip 0001TP_000100: "):
        load_train(damaged)


@pytest.mark.parametrize("shard", ["../train-00000.tfrecord", "/etc/passwd", "..", "a/train-00000.tfrecord"])
def test_an_index_leads_nowhere_out_of_its_folder(damaged, shard):
    """Not even to files that exist and are long enough."""
    path = damaged / "index.json"
    index = json.loads(path.read_bytes())
    (damaged / "a").mkdir()
    for folder in (damaged.parent, damaged / "a"):
        shutil.copy(damaged / "train-00000.tfrecord", folder)
    index["shards"][shard] = os.stat(damaged / shard).st_size
    for clip in index["splits"]["train"]:
        clip["shard"] = shard
    path.write_text(json.dumps(index))
    with pytest.raises(UserError, match="is no name of a shard"):
        load_train(damaged)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"format": 1}', "\udcff"])
def test_what_is_no_index_is_refused(tmp_path, text):
    (tmp_path / "index.json").write_text(text, errors="surrogateescape")
    for read in (load_train, lambda folder: packed.class_table(str(folder))):
        with pytest.raises(UserError, match=r"index\.json: "):
            read(tmp_path)


def test_what_is_not_there_is_named(shards, tmp_path):
    with pytest.raises(UserError, match=r"no such file; .*taf_keras\.pack"):
        packed.splits(str(tmp_path))
    with pytest.raises(UserError, match=r"has no split test; it has train, val"):
        packed.load_split(str(shards), "test", CONTEXT)
    with pytest.raises(UserError, match=r"--temporal_context=5: .* at most 4"):
        load_train(shards, temporal_context=5)


# --- Packing ----------------------------------------------------------------------------------------


def test_a_killed_packing_is_no_data_set_and_starts_over(files, shards, tmp_path, capsys):
    """Killed at its fifth clip, when some shards are complete; then with fewer clips to pack."""
    code = f"""
import os, signal
from taf_keras import pack
from taf_keras.config import DataConfig
from taf_keras.datasets.shards import Shards
add, count = Shards.add, []
def add_until_killed(*arguments):
    count.append(1)
    return os.kill(os.getpid(), signal.SIGKILL) if len(count) == 5 else add(*arguments)
Shards.add = add_until_killed
from pathlib import Path
data = DataConfig("camvid", {str(files)!r}, temporal_context={CONTEXT})
pack.pack(data, Path({str(tmp_path)!r}), ("train", "val"), 100_000)
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = {path.name.split("-")[0] for path in tmp_path.iterdir()}
    assert left == {".index.json.tmp", ".train", "train"}
    with pytest.raises(UserError, match="no such file"):
        load_train(tmp_path)
    data = DataConfig("camvid", str(files), temporal_context=CONTEXT)
    (tmp_path / "train-00099.tfrecord").touch()
    pack.pack(data, tmp_path, ("train", "val"), shard_bytes=100_000)
    assert contents(tmp_path) == contents(shards)
    assert "packing train" in capsys.readouterr().out


@pytest.mark.parametrize("occupant", ["notes.txt", "train-00000.tfrecord", "index.json"])
def test_other_files_are_left_alone(files, tmp_path, occupant, capsys):
    (tmp_path / occupant).write_text("mine")
    with pytest.raises(SystemExit) as exit:
        packed_by_command(files, tmp_path)
    assert exit.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: --output_dir={tmp_path}: ")
    assert contents(tmp_path) == {occupant: b"mine"}


def test_bad_files_are_refused_or_left_out(files, tmp_path, capsys):
    source = Path(shutil.copytree(files, tmp_path / "camvid"))
    frame, still = source / "frames" / "0001TP" / "000102.jpg", source / "train" / "Seq05VD_000060.png"
    folder = source / "frames" / "0016E5"  # a partner in val, which training does not look at
    folder.mkdir()
    partner = folder / "007960.jpg"
    for path in (frame, still, partner):
        path.write_bytes(b"")
    with pytest.raises(SystemExit) as exit:
        packed_by_command(source, tmp_path / "refused")
    assert exit.value.code == 2
    assert "is not a readable image (0 bytes)" in capsys.readouterr().err
    assert not (tmp_path / "refused" / "index.json").exists()

    target = packed_by_command(source, tmp_path / "skipped", "--on_bad_file=skip")
    output = capsys.readouterr().out
    assert all(output.count(f"left out {path}: ") == 1 for path in (frame, still, partner))
    data = DataConfig("camvid", str(source), temporal_context=CONTEXT, on_bad_file="skip")
    for name in ("train", "val"):
        expected = load.load_split(data, name, bad=BadFiles("skip"))
        found = packed.load_split(str(target), name, CONTEXT)
        bad = {"Seq05VD_000060"}
        assert [clip.name for clip in found.clips] == [c.name for c in expected.clips if c.name not in bad]
        assert {f.identity for clip in found.clips for f in clip.frames} == {
            Path(f.image).relative_to(source).as_posix()
            for clip in expected.clips
            if clip.name not in bad
            for f in clip.frames
            if Path(f.image) not in (frame, still, partner)
        }


def test_a_disk_that_is_full_is_named(files, tmp_path, capsys, monkeypatch):
    writer = tf.io.TFRecordWriter
    monkeypatch.setattr(tf.io, "TFRecordWriter", lambda path: writer("/dev/full"))
    with pytest.raises(SystemExit) as exit:
        packed_by_command(files, tmp_path)
    assert exit.value.code == 2
    assert re.match(r"error: .*train-00000\.tfrecord: cannot be written: ", capsys.readouterr().err)
    assert not (tmp_path / "index.json").exists()


def test_a_disk_that_is_full_at_the_end_lets_the_same_command_start_over(
    files, tmp_path, capsys, monkeypatch
):
    def fail(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(SystemExit):
            packed_by_command(files, tmp_path)
    assert (
        capsys.readouterr().err
        == f"error: {tmp_path / 'index.json'}: cannot be written: No space left on device\n"
    )
    packed_by_command(files, tmp_path)
    assert packed.splits(str(tmp_path)) == ("train", "val")


def test_a_list_of_ones_own_is_packed_with_the_context_that_help_says(tmp_path, monkeypatch):
    """Not with the smaller one with which its trainings begin: a packed set's trainings begin with 15."""
    packed = []
    monkeypatch.setattr(pack, "pack", lambda data, *_: packed.append(data.temporal_context))
    pack.main(["--dataset=manifest", f"--data_dir={tmp_path}", f"--output_dir={tmp_path}", "--splits=train"])
    assert packed == [15]


def test_the_flags_that_clips_of_ones_own_begin_with_are_said(tmp_path, capsys):
    """A packed set does not know whose clips it has."""
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "train.csv").write_text("clip,frame,image,label\nquay,0,0.png,label.png\nquay,1,1.png,\n")
    (tmp_path / "classes.json").write_text('{"classes": [{"name": "a"}, {"name": "b"}]}')
    cv2.imwrite(str(tmp_path / "label.png"), np.zeros((8, 8), np.uint8))
    target = tmp_path / "packed"
    pack.main(["--dataset=manifest", f"--data_dir={tmp_path}", f"--output_dir={target}", "--splits=train"])
    (flags,) = re.findall("--temporal_context=3 --taf_weight=1", capsys.readouterr().out)
    own = parse_config(["--dataset=manifest", f"--data_dir={tmp_path}"])
    given = parse_config(["--dataset=packed", f"--data_dir={target}", *flags.split()])
    assert (given.data.temporal_context, given.taf) == (own.data.temporal_context, own.taf)
