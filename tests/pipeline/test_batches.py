"""Batches of clips whose pixels tell what they are: red the clip, green 100 + the offset, blue the column."""

import hashlib
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf

from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame, Split
from taf_keras.clips.decode import read_image, read_label
from taf_keras.config import Config, DataConfig, ModelConfig, RuntimeConfig, TAFConfig, TrainingConfig
from taf_keras.errors import UserError
from taf_keras.pipeline import examples as module
from taf_keras.pipeline.batches import evaluation_batches, reader_errors, training_batches
from taf_keras.pipeline.examples import TrainingExamples
from taf_keras.pipeline.share import Share

HEIGHT, WIDTH = 16, 24
CLASSES = ClassTable(tuple("abcdefgh"), ((0, 0, 0),) * 8)
OFFSETS = (-4, -1, 0, 2)  # with a gap, and the last beyond a context of 3


def frame(clip: int, offset: int) -> Frame:
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = clip, 100 + offset, np.arange(WIDTH)
    return Frame(50 + offset, image, np.full((HEIGHT, WIDTH), clip, np.uint8) if offset == 0 else None)


def tiny_split(clips: int) -> Split:
    frames = [tuple(frame(clip, offset) for offset in OFFSETS) for clip in range(clips)]
    return Split("train", tuple(Clip(f"clip{i}", f, 50) for i, f in enumerate(frames)), CLASSES)


def tiny_config(method="taf", batch_size=4, epochs=2, seed=0, reader_threads=2, **data) -> Config:
    """Whole images at their own scale, where `data` says nothing else."""
    data = {"temporal_context": 3, "min_scale": 1.0, "max_scale": 1.0} | data
    return Config(
        DataConfig(**data),
        ModelConfig(output_stride=8),
        TAFConfig(method=method),
        TrainingConfig(epochs=epochs, batch_size=batch_size, seed=seed),
        RuntimeConfig(reader_threads=reader_threads),
    )


RANDOM = {"min_scale": 0.5, "max_scale": 2.0, "crop_size": (16, 20)}


def read(dataset: tf.data.Dataset) -> list[dict[str, np.ndarray]]:
    options = tf.data.Options()
    options.threading.private_threadpool_size = 4  # readers side by side, also on a single core
    dataset = dataset.with_options(options)
    return [{name: x.numpy() for name, x in batch.items()} for batch in dataset]


def assert_equal_batches(actual, expected):
    assert len(actual) == len(expected) > 0
    for a, b in zip(actual, expected, strict=True):
        assert list(a) == list(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


# --- Training ---------------------------------------------------------------------------------------


def test_arrays_have_the_promised_types():
    (batch, *_) = read(training_batches(tiny_split(4), tiny_config(**RANDOM)))
    expected = {
        "image": ((2, 16, 20, 3), np.uint8),
        "label": ((2, 16, 20), np.uint8),
        "valid": ((2, 16, 20), bool),
        "partner": ((2, 16, 20, 3), np.uint8),
        "offset_frames": ((2,), np.int32),
        "key_branch": ((2,), np.int32),
        "partner_branch": ((2,), np.int32),
    }
    assert {name: (x.shape, x.dtype) for name, x in batch.items()} == expected
    (batch, *_) = read(training_batches(tiny_split(4), tiny_config("baseline", **RANDOM)))
    assert list(batch) == ["image", "label", "valid"]
    assert len(batch["image"]) == 4


@pytest.mark.parametrize("clips", [1, 5, 6])
@pytest.mark.parametrize("method", ["taf", "baseline"])
def test_every_key_frame_is_in_every_epoch(clips, method):
    """Once, and those that fill the last batch twice."""
    config = tiny_config(method, epochs=3)
    steps = config.steps_per_epoch(clips)
    found = read(training_batches(tiny_split(clips), config))
    assert len(found) == 3 * steps
    for epoch in range(3):
        seen = [clip for b in found[epoch * steps : (epoch + 1) * steps] for clip in b["image"][:, 0, 0, 0]]
        counts = np.bincount(seen, minlength=clips)
        assert len(counts) == clips
        assert counts.min() >= 1
        assert counts.max() <= counts.min() + 1
        assert (np.concatenate([b["image"] for b in found])[..., 1] == 100).all()  # n = 0: the key frame


def test_the_partner_is_the_frame_at_the_sampled_offset():
    found = read(training_batches(tiny_split(6), tiny_config(epochs=10)))
    assert set(np.concatenate([batch["offset_frames"] for batch in found])) == {-1, 0, 2}
    for batch in found:
        for key, partner, n in zip(batch["image"], batch["partner"], batch["offset_frames"], strict=True):
            assert (partner[..., 1] == 100 + n).all()
            np.testing.assert_array_equal(partner[..., ::2], key[..., ::2])  # clip and column: one geometry


def test_labels_belong_to_their_images():
    """Scaled, cropped and flipped; the label of each pixel is its clip's number, as its red is."""
    for batch in read(training_batches(tiny_split(6), tiny_config(epochs=4, **RANDOM))):
        valid = batch["valid"]
        for name in ("image", "partner"):
            np.testing.assert_array_equal(batch["label"][valid], batch[name][..., 0][valid])
            assert (batch[name][~valid] == (124, 116, 104)).all()
        np.testing.assert_array_equal(batch["image"][..., 2], batch["partner"][..., 2])
        assert (batch["label"][~valid] == VOID).all()


def test_branches_are_those_with_a_finite_rate():
    config = Config(
        DataConfig(),
        ModelConfig(model="fcn8s"),  # its paper's rates leave all but the first branch free
        TAFConfig(),
        TrainingConfig(epochs=8, batch_size=4),
    )
    for batch in read(training_batches(tiny_split(4), config)):
        assert not batch["key_branch"].any()
        assert not batch["partner_branch"].any()
    sampled = [b["key_branch"] for b in read(training_batches(tiny_split(4), tiny_config(epochs=20)))]
    assert set(np.concatenate(sampled)) == set(range(5))


def test_the_number_of_reader_threads_changes_nothing(monkeypatch):
    """Though the second and third frame of every three are read before the first."""

    def slow_read(source, *rest):
        time.sleep(0.02 * (source[0, 0, 0] % 3 == 0))
        return read_image(source, *rest)

    monkeypatch.setattr(module, "read_image", slow_read)
    split = tiny_split(5)
    one, three = (
        read(training_batches(split, tiny_config(reader_threads=threads, **RANDOM))) for threads in (1, 3)
    )
    assert_equal_batches(one, three)
    one, three = (read(evaluation_batches(split, None, 2, reader_threads=threads)) for threads in (1, 3))
    assert_equal_batches(one, three)


def keeping(config: Config, size: int) -> Config:
    return replace(config, runtime=replace(config.runtime, kept_mb=size / 1e6))


@pytest.mark.parametrize("fit", [0, 2, 5])
def test_key_frames_that_fit_are_decoded_once(fit, monkeypatch):
    """Of 5 clips in 3 epochs; the others, and all partners, whenever they are used. Pixels do not change."""
    split, config = tiny_split(5), tiny_config("taf", batch_size=10, epochs=3, **RANDOM)
    expected = read(training_batches(split, keeping(config, 0)))
    frames, labels = [], []
    monkeypatch.setattr(module, "read_image", lambda s, *rest: frames.append(s) or read_image(s, *rest))
    monkeypatch.setattr(module, "read_label", lambda s, *rest: labels.append(s) or read_label(s, *rest))
    examples = TrainingExamples.of(split, keeping(config, fit * HEIGHT * WIDTH * 4 + 1))
    found = [examples(position) for position in range(15)]
    for i, example in enumerate(found):
        for name, x in example.items():
            np.testing.assert_array_equal(x, expected[i // 5][name][i % 5], err_msg=name)
    decodings = fit + 3 * (5 - fit)
    assert len(labels) == decodings
    assert len(frames) == decodings + sum(example["offset_frames"] != 0 for example in found)


@pytest.mark.parametrize("first_step", [1, 3, 5])
def test_a_training_goes_on_where_it_stopped(first_step):
    """3 steps an epoch: within an epoch, at the beginning of one, and at the last step."""
    split, config = tiny_split(5), tiny_config(**RANDOM)
    whole = read(training_batches(split, config))
    assert_equal_batches(read(training_batches(split, config, first_step)), whole[first_step:])
    assert_equal_batches(read(training_batches(split, config, 0, steps=first_step)), whole[:first_step])


def test_the_seed_is_in_every_sample():
    split = tiny_split(6)
    first, second = (read(training_batches(split, tiny_config(seed=seed, **RANDOM))) for seed in (0, 1))
    for name in first[0]:
        assert any(not np.array_equal(a[name], b[name]) for a, b in zip(first, second, strict=True)), name


def test_baseline_and_taf_see_the_same_crops():
    """6 clips fill whole batches of both, so that their positions are the same."""
    split = tiny_split(6)
    taf = TrainingExamples.of(split, tiny_config("taf", batch_size=6, **RANDOM))
    baseline = TrainingExamples.of(split, tiny_config("baseline", batch_size=6, **RANDOM))
    for position in range(24):
        pair, single = taf(position), baseline(position)
        for name in ("image", "label", "valid"):
            np.testing.assert_array_equal(pair[name], single[name])


def test_frames_are_resized_before_the_crop():
    config = tiny_config(image_size=(32, 48), crop_size=(16, 16), flip=False)
    for position in range(8):
        example = TrainingExamples.of(tiny_split(4), config)(position)
        assert example["image"].shape == (16, 16, 3)
        columns = example["image"][0, :, 2].astype(int)
        assert columns[-1] - columns[0] in (7, 8)  # 16 px of twice the width are 8 columns of the file


# --- Checks and rivals of the method ----------------------------------------------------------------


def test_the_key_frame_can_be_its_own_partner():
    config = tiny_config(partner="key", epochs=8)
    found = read(training_batches(tiny_split(4), config))
    assert any(batch["offset_frames"].any() for batch in found), "offsets stay, so that the slack does"
    for batch in found:
        np.testing.assert_array_equal(batch["partner"], batch["image"])


def test_a_partner_of_another_clip_is_never_of_ones_own():
    config = tiny_config(partner="other_clip", epochs=16)
    found = read(training_batches(tiny_split(4), config))
    neighbours = read(training_batches(tiny_split(4), tiny_config(epochs=16)))
    seen = set()
    for batch, same in zip(found, neighbours, strict=True):
        clips, others = batch["image"][:, 0, 0, 0], batch["partner"][:, 0, 0, 0]  # red is the clip
        assert (clips != others).all()
        seen |= set(zip(clips.tolist(), others.tolist(), strict=True))
        # Key frames, crops, offsets and branches are those of the method itself.
        for name in batch.keys() - {"partner"}:
            np.testing.assert_array_equal(batch[name], same[name])
    assert len(seen) == 12, "every ordered pair of four clips"
    with pytest.raises(UserError, match="--partner=other_clip: needs two clips"):
        training_batches(tiny_split(1), config)


def test_jitter_changes_colours_of_both_frames_alike_and_nothing_else():
    plain = read(training_batches(tiny_split(4), tiny_config(**RANDOM)))
    jittered = read(training_batches(tiny_split(4), tiny_config(color_jitter=True, **RANDOM)))
    for before, after in zip(plain, jittered, strict=True):
        assert list(after) == list(before)
        for name in after.keys() - {"image", "partner"}:
            np.testing.assert_array_equal(after[name], before[name])
        assert (before["image"] != after["image"]).any(axis=(1, 2, 3)).all()
    config = tiny_config(color_jitter=True, partner="key", **RANDOM)
    for batch in read(training_batches(tiny_split(4), config)):
        np.testing.assert_array_equal(batch["partner"], batch["image"])


def test_blur_is_the_same_for_both_frames_and_touches_no_label(monkeypatch):
    # As strong as it needs to be to be seen at 16 px, in every other clip.
    monkeypatch.setattr(module, "sample_blur", lambda place: 0.2 * (place.example % 2))
    plain = read(training_batches(tiny_split(4), tiny_config(**RANDOM)))
    blurred = read(training_batches(tiny_split(4), tiny_config(blur=True, **RANDOM)))
    for before, after in zip(plain, blurred, strict=True):
        for name in after.keys() - {"image", "partner"}:
            np.testing.assert_array_equal(after[name], before[name])
    both = [np.concatenate([batch["image"] for batch in batches]) for batches in (plain, blurred)]
    changed = (both[0] != both[1]).any(axis=(1, 2, 3)).mean()
    assert changed == 0.5
    for batch in read(training_batches(tiny_split(4), tiny_config(blur=True, partner="key", **RANDOM))):
        np.testing.assert_array_equal(batch["partner"], batch["image"])


def test_the_teacher_of_mean_teacher_gets_the_partner_as_it_is():
    """The strong view has other colours; the weak one is what a run without augmentation shows."""
    plain = read(training_batches(tiny_split(4), tiny_config(**RANDOM)))
    jittered = read(training_batches(tiny_split(4), tiny_config(color_jitter=True, **RANDOM)))
    student = read(training_batches(tiny_split(4), tiny_config("mean_teacher", **RANDOM)))
    both = read(training_batches(tiny_split(4), tiny_config("mean_teacher", color_jitter=True, **RANDOM)))
    for before, strong, after, all_strong in zip(plain, jittered, student, both, strict=True):
        np.testing.assert_array_equal(after["weak_partner"], before["partner"])
        np.testing.assert_array_equal(after["partner"], strong["partner"])  # too small for a blur to be seen
        np.testing.assert_array_equal(after["image"], before["image"])
        np.testing.assert_array_equal(all_strong["image"], strong["image"])


def test_cutmix_says_where_an_example_shows_another():
    config = tiny_config("baseline", batch_size=4, epochs=16, cutmix=True, **RANDOM)
    batches = read(training_batches(tiny_split(4), config))
    pasted = np.concatenate([batch["pasted"] for batch in batches])
    assert pasted.shape == (64, 16, 20)
    assert pasted.dtype == bool
    shares = pasted.mean(axis=(1, 2))
    assert 0.25 < (shares > 0).mean() < 0.75
    assert shares.max() <= 0.55  # half of the crop, and what rounding adds
    plain = read(training_batches(tiny_split(4), tiny_config("baseline", batch_size=4, epochs=16, **RANDOM)))
    for name in plain[0]:
        np.testing.assert_array_equal(batches[3][name], plain[3][name])


def test_propagated_labels_come_with_their_partner():
    """Equal frames: the flow is zero, so that the partner has the key frame's labels."""
    for batch in read(training_batches(tiny_split(4), tiny_config("propagate", partner="key", **RANDOM))):
        np.testing.assert_array_equal(batch["partner_label"], batch["label"])
    (batch, *_) = read(training_batches(tiny_split(4), tiny_config("propagate")))
    assert set(batch) - {"partner_label"} == set(read(training_batches(tiny_split(4), tiny_config()))[0])


# --- Evaluation -------------------------------------------------------------------------------------


# (workers, replicas of all workers): one process, two GPUs, two and three workers, two workers of two GPUs.
CLUSTERS = [(1, 1), (1, 2), (2, 2), (3, 3), (2, 4)]


def of_all(workers: int, replicas: int, batches_of) -> list[dict[str, np.ndarray]]:
    """The global batches that the replicas of all workers see together, put together from their parts."""
    shares = [Share(worker, workers, replicas) for worker in range(workers)]
    parts = [iter(read(batches_of(share))) for share in shares]
    found = []
    while True:
        step = [next(worker, None) for worker in parts for _ in range(replicas // workers)]
        if step[0] is None:
            assert all(part is None for part in step), "every replica has the same number of steps"
            return found
        assert len({len(part["image"]) for part in step}) == 1, (
            "every replica has the same number of examples"
        )
        found.append({name: np.concatenate([part[name] for part in step]) for name in step[0]})


def fingerprints(found: list[dict[str, np.ndarray]]) -> list[str]:
    """A hash of each batch: pixels, labels, padding, offsets, branches and colour changes."""
    return [
        hashlib.sha256(b"".join(name.encode() + batch[name].tobytes() for name in sorted(batch))).hexdigest()
        for batch in found
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_workers_and_replicas_see_together_what_one_process_sees(threads):
    """Also from the middle of a training on."""
    split = tiny_split(8)
    config = tiny_config(batch_size=24, color_jitter=True, epochs=6, reader_threads=2, **RANDOM)
    expected = fingerprints(read(training_batches(split, config)))
    assert len(set(expected)) == 6, "one step an epoch, no two alike"
    config = replace(config, runtime=replace(config.runtime, reader_threads=threads))
    for workers, replicas in CLUSTERS:
        for first_step in (0, 3):
            found = of_all(
                workers,
                replicas,
                lambda share, first=first_step: training_batches(split, config, first, share=share),
            )
            assert fingerprints(found) == expected[first_step:], (workers, replicas)


def test_a_worker_reads_no_example_of_another(monkeypatch):
    """But one, of which it learns the shapes."""
    read_by = []
    for worker in range(2):
        positions = []
        call = TrainingExamples.__call__

        def counted(self, position, call=call, positions=positions):
            positions.append(position)
            return call(self, position)

        with monkeypatch.context() as patch:
            patch.setattr(TrainingExamples, "__call__", counted)
            read(training_batches(tiny_split(8), tiny_config(batch_size=8), share=Share(worker, 2, 2)))
        read_by.append(sorted(positions[1:]))
    assert read_by == [[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]]


@pytest.mark.parametrize(("workers", "replicas"), CLUSTERS)
@pytest.mark.parametrize("frames", [1, 4, 5, 7])
def test_every_frame_is_evaluated_once_and_in_order(frames, workers, replicas):
    """The surplus that lets the replicas share the last batch evenly is void, and so counts nowhere."""
    split = tiny_split(frames)
    found = of_all(
        workers, replicas, lambda share: evaluation_batches(split, None, batch_size=4, share=share)
    )
    images = np.concatenate([batch["image"] for batch in found])
    labels = np.concatenate([batch["label"] for batch in found])
    assert (images[..., 1] == 100).all()
    for i in range(frames):
        assert (images[i, ..., 0] == i).all()
        assert (labels[i] == i).all()
    assert (labels[frames:] == VOID).all()
    assert (images[frames:, ..., 0] == frames - 1).all()


def test_evaluation_changes_no_pixel():
    split = tiny_split(2)
    (batch,) = read(evaluation_batches(split, None))
    for i, clip in enumerate(split.clips):
        np.testing.assert_array_equal(batch["image"][i], clip.key_frame.image)
        np.testing.assert_array_equal(batch["label"][i], clip.key_frame.label)
    (batch,) = read(evaluation_batches(split, (8, 12)))
    assert batch["image"].shape == (2, 8, 12, 3)
    assert batch["label"].shape == (2, 8, 12)


# --- Bad files --------------------------------------------------------------------------------------


def test_a_bad_file_is_named(tmp_path):
    path = str(tmp_path / "label.png")
    cv2.imwrite(path, np.full((HEIGHT, WIDTH), 8, np.uint8))
    image = frame(0, 0).image
    split = Split("train", (Clip("c", (Frame(0, image, path),), 0),), CLASSES)
    for make in (training_batches, lambda split, config: evaluation_batches(split, None)):
        with pytest.raises(UserError, match=r"label\.png: label id 8 .* allowed are 0–7, 255"):
            make(split, tiny_config())


def test_a_partner_of_another_size_is_refused():
    """One geometry for both frames needs one size; --image_size gives them one."""
    image, larger = frame(0, 0).image, np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8)
    clip = Clip("c", (Frame(0, image, image[..., 0]), Frame(1, larger)), 0)
    examples = TrainingExamples.of(Split("train", (clip,), CLASSES), tiny_config())
    with pytest.raises(UserError, match=f"{2 * HEIGHT}x{2 * WIDTH}"):
        _ = [examples(position) for position in range(20)]


def test_frames_of_several_sizes_are_brought_to_one():
    image, larger = frame(0, 0).image, np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8)
    clip = Clip("c", (Frame(0, image, image[..., 0]), Frame(1, larger)), 0)
    split = Split("train", (clip,), CLASSES)
    offsets = set()
    for batch in read(training_batches(split, tiny_config(epochs=10, image_size=(HEIGHT, WIDTH)))):
        assert batch["partner"].shape == batch["image"].shape == (2, HEIGHT, WIDTH, 3)
        offsets |= set(batch["offset_frames"])
    assert offsets == {0, 1}


@pytest.mark.parametrize(
    ("size", "asked", "expected"),
    [
        ((96, 128), None, 8),
        ((360, 480), None, 8),
        ((720, 960), None, 3),  # 2^21 pixels hold 3.03 of them
        ((1024, 2048), None, 1),
        ((2048, 4096), None, 1),
        ((96, 128), 5, 5),
    ],
)
def test_a_batch_of_evaluation_follows_the_size_of_the_images(size, asked, expected):
    image, label = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    clips = tuple(Clip(str(i), (Frame(0, image, label),), 0) for i in range(9))
    split = Split("val", clips, ClassTable(("road",), ((0, 0, 0),)))
    first = next(iter(evaluation_batches(split, None, asked)))
    assert first["image"].shape == (expected, *size, 3)


def test_a_file_that_a_reader_thread_cannot_use_is_named_in_one_line(tmp_path):
    """Its end is damaged by then, or it is gone: the start saw neither."""
    gone = str(tmp_path / "gone.png")
    image = frame(0, 0).image
    good = Clip("a", (Frame(0, image, image[..., 0] % 8),), 0)
    split = Split("val", (good, Clip("b", (Frame(0, gone, image[..., 0] % 8),), 0)), CLASSES)
    with pytest.raises(UserError) as caught, reader_errors():
        read(evaluation_batches(split, None))
    assert str(caught.value) == f"{gone}: cannot be read: No such file or directory"


def test_other_errors_of_a_pipeline_stay_what_they_are():
    with pytest.raises(tf.errors.InvalidArgumentError), reader_errors():
        tf.reshape(tf.zeros(3), (2,))
