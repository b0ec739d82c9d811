"""A file that was usable is not opened again until it changes, and what is remembered is never in the way."""

import builtins
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_camvid

from taf_keras.clips import image_files
from taf_keras.clips.clip import Clip, FilePart, Frame
from taf_keras.config import DataConfig
from taf_keras.datasets.load import load_split
from taf_keras.errors import BadFileError
from taf_keras.inspection import check, checked, look
from taf_keras.inspection.check import check_split, load_checked
from taf_keras.inspection.checked import CheckedFiles, keys_of, memory_of, remembered
from taf_keras.inspection.data_report import survey

IMAGE, LABEL = "train/0001TP_006720.png", "trainannot/0001TP_006720.png"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache folder for the test, in which the shortest check is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checked, "WORTH_SECONDS", 0)
    return tmp_path / "cache" / "taf-keras" / "checked"


@pytest.fixture
def data(camvid) -> DataConfig:
    """5 key frames of train, 2 of val: a file for each image, and for each label map."""
    return DataConfig("camvid", str(camvid), temporal_context=30)


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The images and label maps that were opened since it was cleared, each once."""
    paths = []

    def opening(path, *arguments):
        if path not in paths:
            paths.append(path)
        return builtins.open(path, *arguments)

    monkeypatch.setattr(image_files, "open", opening, raising=False)
    return paths


def start(data: DataConfig, opened: list[str], split: str = "train") -> tuple:
    """(the checked split, the files that this start has opened, by their names in the data set)."""
    opened.clear()
    found = load_checked(data, split, data.temporal_context)
    return found, sorted(os.path.relpath(path, data.data_dir) for path in opened)


def damage(path: Path) -> bytes:
    """Cuts a file short; returns what it was."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return whole


def test_a_second_start_opens_no_file_and_finds_the_same(data, opened):
    first, files = start(data, opened)
    assert len(files) == 10
    second, files = start(data, opened)
    assert files == []
    assert [clip.name for clip in second.clips] == [clip.name for clip in first.clips]
    np.testing.assert_array_equal(second.label_pixels, first.label_pixels)
    assert second.label_pixels.dtype == first.label_pixels.dtype
    assert second.label_pixels.sum() == 5 * 48 * 64
    assert len(start(data, opened, "val")[1]) == 4  # which nobody has looked at
    assert start(data, opened, "val")[1] == start(data, opened)[1] == []


def test_it_does_not_depend_on_how_soon_the_system_answers(data, opened, monkeypatch):
    monkeypatch.setattr(look, "_AT_ONCE", 2)  # 2 of 5, then the others
    for seconds, expected in ((0, 10), (60, 0), (0, 0)):
        monkeypatch.setattr(look, "_PROMPT_SECONDS", seconds)
        assert len(start(data, opened)[1]) == expected


@pytest.mark.parametrize("name", [IMAGE, LABEL])
@pytest.mark.parametrize("change", ["size", "time", "mode"])
def test_a_file_that_changed_is_opened_and_no_other(data, opened, name, change):
    start(data, opened)
    path = Path(data.data_dir, name)
    before = path.stat()
    if change == "size":
        path.write_bytes(path.read_bytes() + b"after the end")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "time":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    else:  # it may be one that cannot be read now
        path.chmod(0o600 if before.st_mode & 0o77 else 0o644)
    assert start(data, opened)[1] == [name]
    assert start(data, opened)[1] == []


def test_a_frame_that_is_new_is_opened(data, opened):
    start(data, opened)
    frames = Path(data.data_dir, "frames/0001TP")
    frames.mkdir(parents=True)
    shutil.copy(Path(data.data_dir, IMAGE), frames / "006721.png")
    assert start(data, opened)[1] == ["frames/0001TP/006721.png"]


def test_what_is_found_of_a_changed_file_replaces_what_was(data, opened):
    """The classes of a label map are those of now."""
    first, _ = start(data, opened)
    shutil.copy(Path(data.data_dir, "trainannot/Seq05VD_f00000.png"), Path(data.data_dir, LABEL))
    for _ in range(2):
        second, _ = start(data, opened)
        assert (second.label_pixels[1] == first.label_pixels[3]).all()
    assert (second.label_pixels[[0, 2, 3, 4]] == first.label_pixels[[0, 2, 3, 4]]).all()


# --- Bad files ---


@pytest.mark.parametrize("name", [IMAGE, LABEL])
def test_a_bad_file_is_refused_at_every_start(data, opened, name):
    path = Path(data.data_dir, name)
    whole = damage(path)
    with pytest.raises(BadFileError, match=name):
        start(data, opened)
    for _ in range(2):
        with pytest.raises(BadFileError, match=name):
            start(data, opened)
        assert opened == [str(path)]  # the others were usable, although the start was refused
    path.write_bytes(whole)
    assert start(data, opened)[1] == [name]
    assert start(data, opened)[1] == []


@pytest.mark.parametrize("name", [IMAGE, LABEL])
def test_a_bad_file_is_left_out_at_every_start(data, opened, name, capsys):
    data = replace(data, on_bad_file="skip", temporal_context=60)  # partners stay without the middle one
    damage(Path(data.data_dir, name))
    for number in range(3):
        split, files = start(data, opened)
        assert files == [name] or number == 0
        assert [error.file for error in split.left_out] == [f"{data.data_dir}/{name}"]
        assert "0001TP_006720" not in [clip.name for clip in split.clips]
        assert len(split.label_pixels) == len(split.clips) == 4
        assert f"left out {data.data_dir}/{name}" in capsys.readouterr().out


def test_a_file_that_was_usable_and_is_gone_is_missed(data, opened):
    start(data, opened)
    Path(data.data_dir, "train/0001TP_006720.png").rename(Path(data.data_dir, "elsewhere"))
    Path(data.data_dir, "train/0001TP_006720.png").symlink_to("nowhere")
    with pytest.raises(BadFileError, match="is a link to a file that does not exist"):
        start(data, opened)


def test_files_that_do_not_fit_together_are_refused_at_every_start(data, opened):
    """Each is usable; the label map is that of another size."""
    write_camvid(Path(data.data_dir, "other"), {"train": ["0001TP_006720"]}, size=(40, 64))
    shutil.copy(Path(data.data_dir, "other", LABEL), Path(data.data_dir, LABEL))
    for _ in range(2):
        with pytest.raises(BadFileError, match="label map of 40x64 px, its image has 48x64 px"):
            start(data, opened)
    assert opened == []


def test_an_interrupted_check_goes_on(data, opened, monkeypatch):
    """64 files at a time are taken: here, all images before the first label map."""

    with monkeypatch.context() as patch:
        patch.setattr(check, "Progress", lambda label: Interrupting(label))
        with pytest.raises(KeyboardInterrupt):
            start(data, opened)
    assert {name.split("/")[0] for name in start(data, opened)[1]} == {"trainannot"}


class Interrupting:
    """A progress line at whose first figure the user presses Ctrl-C."""

    def __init__(self, label: str):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __call__(self, done: int, total: int):
        raise KeyboardInterrupt


# --- Whose memory it is ---


def test_another_folder_is_another_data_set(data, opened, tmp_path):
    """The copy has the same names, sizes and times."""
    start(data, opened)
    copy = replace(data, data_dir=str(shutil.copytree(data.data_dir, tmp_path / "copy")))
    assert len(start(copy, opened)[1]) == 10
    assert memory_of(copy) != memory_of(data)
    assert start(data, opened)[1] == start(copy, opened)[1] == []


def test_the_memory_of_another_folder_knows_nothing(data, opened, tmp_path):
    copy = replace(data, data_dir=str(shutil.copytree(data.data_dir, tmp_path / "copy")))
    start(data, opened)
    shutil.copy(memory_of(data), memory_of(copy))
    assert len(start(copy, opened)[1]) == 10


def test_a_relative_path_is_the_same_data_set(data, opened, monkeypatch):
    start(data, opened)
    monkeypatch.chdir(Path(data.data_dir).parent)
    relative = replace(data, data_dir=Path(data.data_dir).name)
    assert start(relative, opened)[1] == []
    monkeypatch.chdir("/")
    assert memory_of(relative) != memory_of(data)


def test_other_classes_read_the_label_maps_again(data, opened, tmp_path):
    """Two names change places: as many classes as before, but other ids in the maps."""
    root, frames = Path(data.data_dir), [6690, 6720, 6750]
    names = [f"train/0001TP_{number:06d}.png" for number in frames]
    rows = [f"a,{n},{name},trainannot/{Path(name).name}" for n, name in zip(frames, names, strict=True)]
    (root / "train.csv").write_text("clip,frame,image,label\n" + "\n".join(rows) + "\n")
    classes = [{"name": f"class {i}", "colour": [i, 0, 0], "id": i} for i in range(12)]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    own = replace(data, dataset="manifest")
    first, _ = start(own, opened)
    classes[3]["id"], classes[7]["id"] = 7, 3
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    second, files = start(own, opened)
    assert files == [f"trainannot/{Path(name).name}" for name in names]
    assert (second.label_pixels[:, 3] == first.label_pixels[:, 7]).all()
    assert start(own, opened)[1] == []


def test_parts_of_a_packed_data_set(data, opened, tmp_path):
    """All images and label maps one after another in one file, as in a shard; its parts are known by it."""
    shard, held = tmp_path / "packed" / "train-00000.tfrecord", b""

    def part(path: str) -> FilePart:
        nonlocal held
        begin, held = len(held), held + Path(path).read_bytes()
        return FilePart(Path(path).name, str(shard), begin, len(held) - begin)

    plain, clips = load_split(data, "train"), []
    for clip in plain.clips:
        key = clip.key_frame
        clips.append(Clip(clip.name, (Frame(key.number, part(key.image), part(key.label)),), key.number))
    shard.parent.mkdir()
    shard.write_bytes(held)
    packed, split = DataConfig("packed", str(shard.parent)), replace(plain, clips=tuple(clips))
    pixels = []
    for expected in ([str(shard)], [], [str(shard)]):
        opened.clear()
        with remembered(packed) as known:
            pixels.append(check_split(split, checked=known).label_pixels)
        assert opened == expected
        if not expected:
            os.utime(shard, ns=(1, 1))
    assert (pixels[0] == pixels[1]).all()
    assert (pixels[0] == load_checked(data, "train").label_pixels).all()


# --- The full check ---


@pytest.mark.parametrize("thorough", [True, False])
def test_the_command_opens_every_file_whatever_is_remembered(data, opened, thorough):
    start(data, opened)
    start(data, opened, "val")
    opened.clear()
    report = survey(data, "taf", thorough=thorough)
    assert len(opened) == 14
    assert report.refusal is None
    assert start(data, opened)[1] == []


@pytest.mark.parametrize("thorough", [True, False])
def test_a_start_after_the_command_opens_no_file(data, opened, thorough):
    survey(data, "taf", thorough=thorough)
    assert start(data, opened)[1] == start(data, opened, "val")[1] == []


def test_damage_within_is_not_remembered_as_good(data, opened):
    path = Path(data.data_dir, IMAGE)
    whole = path.read_bytes()
    path.write_bytes(whole[:2000] + bytes(1000) + whole[3000:])
    for _ in range(2):
        assert IMAGE in survey(data, "taf").refusal
    assert start(data, opened)[1] == [IMAGE]


# --- The file in the cache folder ---


@pytest.mark.parametrize(
    "content",
    [
        lambda whole: b"",
        lambda whole: whole[:-1],
        lambda whole: whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        lambda whole: whole.replace(b"files 1", b"files 0"),
        lambda whole: b"\x93NUMPY of somebody else",
        lambda whole: None,
    ],
    ids=["empty", "cut short", "one bit", "of another version", "foreign", "folder"],
)
def test_a_damaged_memory_is_ignored_and_written_anew(data, opened, capsys, content):
    start(data, opened)
    memory = memory_of(data)
    whole = memory.read_bytes()
    changed = content(whole)
    assert changed != whole
    capsys.readouterr()
    memory.unlink()
    if changed is None:
        memory.mkdir()
    else:
        memory.write_bytes(changed)
    split, files = start(data, opened)
    assert (len(split.clips), len(files)) == (5, 10)
    if changed is None:  # in the way, and not ours
        (note,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")]
        assert "the next start looks at all files again" in note
    else:
        assert "note" not in capsys.readouterr().out
        assert start(data, opened)[1] == []


def test_a_cache_folder_that_cannot_be_written_is_named(data, opened, cache, capsys):
    cache.parent.parent.write_text("a file")
    for _ in range(2):
        split, files = start(data, opened)
        assert (len(split.clips), len(files)) == (5, 10)
        lines = capsys.readouterr().out.splitlines()
        reason = "Not a directory; the next start looks at all files again"
        assert f"note: {cache}: cannot be written: {reason}" in lines


def test_a_user_without_a_home_is_no_error(data, opened, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert memory_of(data) is None
    assert len(start(data, opened)[1]) == len(start(data, opened)[1]) == 10


def test_a_short_check_leaves_nothing(data, opened, cache, monkeypatch):
    monkeypatch.setattr(checked, "WORTH_SECONDS", 600)
    start(data, opened)
    assert not cache.exists()


def test_synthetic_clips_have_no_memory():
    assert memory_of(DataConfig()) is None


def test_nothing_is_written_where_nothing_is_new(data, opened):
    start(data, opened)
    os.utime(memory_of(data), ns=(1, 1))
    start(data, opened)
    assert memory_of(data).stat().st_mtime_ns == 1
    assert [path.name for path in memory_of(data).parent.iterdir()] == [memory_of(data).name]


def test_processes_that_save_at_once_leave_a_whole_memory(tmp_path):
    """Each writes other facts, many times; what is there at any moment is that of one of them."""
    file = tmp_path / "memory"
    keys = np.arange(1, 5001, dtype=np.uint64)

    def save(number: int) -> None:
        for _ in range(5):
            file.unlink(missing_ok=True)
            own = CheckedFiles(file)
            assert len({tuple(facts or ()) for facts in own.find(keys, 2)}) == 1
            own.add(keys, [(number, 7)] * 5000)
            own.save()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(8)))
    assert list(tmp_path.iterdir()) == [file]
    assert CheckedFiles(file).find(keys[:1], 2)[0][1] == 7


def test_keys_differ_by_all_that_a_file_is_known_by(data, tmp_path):
    split = load_split(data, "train")
    images = [clip.key_frame.image for clip in split.clips]
    keys = keys_of([*images, images[0], str(tmp_path / "none"), 12345])
    assert len(set(keys[:5].tolist())) == 5
    assert (keys[5], keys[6], keys[7]) == (keys[0], 0, 0)
    of_label = keys_of(images[:1], split.classes)
    assert of_label != keys[0]
    assert keys_of(images[:1], replace(split.classes, raw_ids=None)) not in (of_label, keys[0])


def test_files_without_a_key_are_not_known(tmp_path):
    checked_files = CheckedFiles(tmp_path / "memory")
    checked_files.add(np.uint64([0, 3]), [(48, 64), (24, 32)])
    checked_files.save()
    assert CheckedFiles(tmp_path / "memory").find(np.uint64([0, 3, 4]), 2) == [None, [24, 32], None]
