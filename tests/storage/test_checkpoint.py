"""A damaged checkpoint is named and the one before it used; a disk that refuses leaves the last one whole."""

import errno
import hashlib
import io
import math
import os

import h5py
import keras
import numpy as np
import pytest

from taf_keras import files
from taf_keras.errors import UserError
from taf_keras.storage import checkpoint


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def folder(model, tmp_path):
    """Two checkpoints, of steps 4 and 8, whose weights are all 4 and all 8."""
    for step in (4, 8):
        model.set_weights([np.full_like(array, step) for array in model.get_weights()])
        checkpoint.save(model, tmp_path, step, {"loss:total": np.float32([step, step + 0.1])})
    return tmp_path


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)


def empty(path):
    path.write_bytes(b"")


def test_what_is_saved_is_loaded(folder, model):
    step, path = checkpoint.latest(folder)
    model.set_weights([np.zeros_like(array) for array in model.get_weights()])
    sums = checkpoint.load(model, path)
    assert step == 8
    assert all((array == 8).all() for array in model.get_weights())
    np.testing.assert_array_equal(sums["loss:total"], np.float32([8, 8.1]))
    assert {path.name for path in folder.iterdir()} == {
        "step-00000004.weights.h5",
        "step-00000008.weights.h5",
    }


@pytest.mark.parametrize(
    ("break_it", "wrong"),
    [
        (truncate, "truncated"),
        (halve, "truncated"),
        (flip, "its contents differ from its checksum"),
        (empty, "the file is empty"),
    ],
)
def test_a_damaged_newest_one_is_named_and_the_one_before_used(folder, model, capsys, break_it, wrong):
    newest = checkpoint.checkpoint_path(folder, 8)
    break_it(newest)
    step, path = checkpoint.latest(folder)
    assert (step, path) == (4, checkpoint.checkpoint_path(folder, 4))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"warning: {newest}: damaged: ")
    assert wrong in line
    with pytest.raises(UserError, match=f"{newest.name}: not a checkpoint of this model, or damaged: "):
        checkpoint.load(model, newest)

    # The next one takes the place of the damaged one: two that are whole remain.
    checkpoint.save(model, folder, 6, {})
    assert list(checkpoint.checkpoints(folder)) == [4, 6]


def test_a_flipped_bit_is_found_wherever_it_is(folder):
    path = checkpoint.checkpoint_path(folder, 8)
    contents = path.read_bytes()
    for place in [*range(0, len(contents) - 73, 997), len(contents) - 74]:
        path.write_bytes(contents[:place] + bytes([contents[place] ^ 16]) + contents[place + 1 :])
        assert checkpoint.damage(path), place


def test_without_a_whole_one_nothing_is_begun_anew(folder):
    for path in checkpoint.checkpoints(folder).values():
        flip(path)
    with pytest.raises(UserError, match="every checkpoint is damaged; delete this folder"):
        checkpoint.latest(folder)


def test_the_checksum_is_that_of_the_bytes_before_it(folder):
    contents, _, rest = checkpoint.checkpoint_path(folder, 8).read_bytes().rpartition(b"\nsha256 ")
    assert rest.decode() == hashlib.sha256(contents).hexdigest() + "\n"


def test_a_checkpoint_of_an_earlier_version_has_no_checksum(model, tmp_path):
    model.save_weights(tmp_path / "step-00000002.weights.h5")
    step, path = checkpoint.latest(tmp_path)
    assert (step, checkpoint.load(model, path)) == (2, {})


def test_what_samples_goes_on_where_it_was(tmp_path):
    """With a checkpoint of an earlier version, which has no states, it stays as it is."""
    drop = keras.layers.Dropout(0.5, seed=3)
    model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(2), keras.Sequential([drop])])
    masks = [np.array(drop(np.ones((1, 100)), training=True)) for _ in range(2)]
    path = checkpoint.save(model, tmp_path, 2, {})
    masks.append(np.array(drop(np.ones((1, 100)), training=True)))
    assert not np.array_equal(masks[1], masks[2])
    drop.seed_generator.state.assign([7, 0])
    checkpoint.load(model, path)
    np.testing.assert_array_equal(drop(np.ones((1, 100)), training=True), masks[2])

    model.save_weights(tmp_path / "step-00000004.weights.h5")
    checkpoint.load(model, tmp_path / "step-00000004.weights.h5")
    assert np.array(drop.seed_generator.state).tolist() == [3, 3]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "Can't write data"),
        # What h5py says of a full disk when it closes a file, and TensorFlow of an event file.
        RuntimeError("Can't decrement id ref count (errno = 28, error message = 'No space left on device')"),
        OSError(errno.EROFS, "Read-only file system", "unfinished.weights.h5"),
    ],
)
def test_a_disk_that_refuses_leaves_the_last_one_whole(folder, model, monkeypatch, error):
    def sync(path):
        raise error

    monkeypatch.setattr(files, "_sync", sync)
    number = getattr(error, "errno", errno.ENOSPC)
    with (
        pytest.raises(UserError, match=f": cannot be written: {os.strerror(number)}; checkpoints") as caught,
        files.writing(folder),
    ):
        checkpoint.save(model, folder, 12, {})
    assert (str(getattr(error, "filename", None) or folder)) in str(caught.value)
    assert [path.name for path in sorted(folder.iterdir())] == [
        "step-00000004.weights.h5",
        "step-00000008.weights.h5",
    ]
    assert checkpoint.latest(folder)[0] == 8


def test_other_errors_keep_their_names(tmp_path):
    with pytest.raises(OSError, match="no such device"), files.writing(tmp_path):
        raise OSError(errno.ENODEV, "no such device")


def _write_half(path):
    path.write_text("ne")
    raise InterruptedError


def test_a_file_is_replaced_when_it_is_complete(tmp_path):
    path = tmp_path / "figures.csv"
    path.write_text("old")
    with pytest.raises(InterruptedError), files.replaced(path) as temporary:
        _write_half(temporary)
    assert path.read_text() == "old"
    with files.replaced(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_hdf5_meets_no_disk(folder, model, monkeypatch):
    """On a full one, what it could not write brings the process down when Python ends."""
    opened = []
    original = h5py.File

    def file(target, *args, **kwargs):
        opened.append(target)
        return original(target, *args, **kwargs)

    monkeypatch.setattr(h5py, "File", file)
    checkpoint.save(model, folder, 12, {"sum": np.ones(2)}, checkpoint.Best(8, 0.5))
    assert len(opened) == 2
    assert all(isinstance(target, io.BytesIO) for target in opened)


def test_the_best_is_kept_and_known(folder, model):
    """However many come after it; and no longer when there is a better one."""
    for step, best in ((12, (8, 0.5)), (16, (8, 0.5)), (20, (8, 0.5)), (24, (24, 0.6))):
        path = checkpoint.save(model, folder, step, {}, checkpoint.Best(*best))
        assert checkpoint.best_until(path) == best
        kept = list(checkpoint.checkpoints(folder))
        assert kept == sorted({best[0], *kept[-2:]})
    assert kept == [20, 24]
    assert checkpoint.best_until(checkpoint.save(model, folder, 28, {})) == (0, -math.inf)


def test_what_a_run_has_taken_is_known(model, tmp_path):
    """An earlier version did not say."""
    path = checkpoint.save(model, tmp_path, 4, {}, spent=checkpoint.Spent(36000.5, 32400.25))
    assert checkpoint.spent_until(path) == (36000.5, 32400.25)
    model.save_weights(tmp_path / "step-00000002.weights.h5")
    assert checkpoint.spent_until(tmp_path / "step-00000002.weights.h5") == (0, 0)
