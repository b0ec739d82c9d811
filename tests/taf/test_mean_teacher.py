"""CutMix, the moving average of the weights, and what labels partners beside or without TAF."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from taf_examples import pyramid, random_batch, tiny_config, trainer_of

from taf_keras.clips.clip import VOID
from taf_keras.config import PartnerLabelConfig
from taf_keras.models import build
from taf_keras.taf import losses
from taf_keras.taf.moving_average import MovingAverage
from taf_keras.taf.paste import paste, paste_key_frames

SIZE, CLASSES = (32, 64), 4


@pytest.fixture
def network(monkeypatch):
    keras.utils.set_random_seed(0)
    monkeypatch.setattr(build, "build_backbone", pyramid)
    return build.build_model(tiny_config("fcn8s").model, CLASSES)


def config_of(method: str, weight: float = 0.0, **labels):
    config = tiny_config("fcn8s", method=method, weight=weight)
    return replace(config, partner_labels=PartnerLabelConfig(teacher="somewhere", **labels))


# --- CutMix -----------------------------------------------------------------------------------------


def test_a_pasted_rectangle_shows_the_neighbour_of_the_pair():
    values = np.arange(4)[:, None, None] + np.zeros((4, 2, 3), int)
    pasted = np.zeros((4, 2, 3), bool)
    pasted[0, 0, 0] = pasted[3, 1, 2] = True
    expected = values.copy()
    expected[0, 0, 0], expected[3, 1, 2] = 1, 2
    np.testing.assert_array_equal(paste(values, pasted), expected)
    np.testing.assert_array_equal(paste(np.stack([values, -values], -1), pasted)[..., 1], -expected)


def test_halves_of_a_batch_are_pasted_as_the_whole():
    """So that two replicas see what one sees."""
    rng = np.random.default_rng(0)
    values, pasted = rng.random((8, 4, 4)), rng.random((8, 4, 4)) < 0.5
    halves = [paste(values[i : i + 4], pasted[i : i + 4]) for i in (0, 4)]
    np.testing.assert_array_equal(np.concatenate(halves), paste(values, pasted))


def test_a_baseline_learns_the_labels_that_are_pasted_with_their_pixels(network):
    config = tiny_config("fcn8s", method="baseline")
    batch = random_batch(config, 4, SIZE, CLASSES, seed=1)
    pasted = np.zeros(batch["label"].shape, bool)
    pasted[:, 8:24, 16:40] = True
    by_hand = {name: batch[name].copy() for name in ("image", "label")}
    for values, given in ((by_hand["image"], batch["image"]), (by_hand["label"], batch["label"])):
        values[:, 8:24, 16:40] = given[[1, 0, 3, 2], 8:24, 16:40]
    objective = trainer_of(network, config).objective
    expected, plain = objective(batch | by_hand), objective(batch)
    values = objective(batch | {"pasted": pasted})
    np.testing.assert_array_equal(values["loss"], expected["loss"])
    assert not np.allclose(values["loss"], plain["loss"])
    assert paste_key_frames(batch) is batch


# --- The moving average -----------------------------------------------------------------------------


def test_the_average_of_three_steps(network):
    """Step n keeps min(momentum, n / (n + 1)). Of weights 0, then 1, 2, 3 the average is 1/2, then
    0.6 · 0.5 + 0.4 · 2 = 1.1, then 0.6 · 1.1 + 0.4 · 3 = 1.86."""
    average = build.build_model(tiny_config("fcn8s").model, CLASSES)
    network.set_weights([np.zeros_like(w) for w in network.get_weights()])
    teacher = MovingAverage(network, average, momentum=0.6)
    for step, expected in ((1, 0.5), (2, 1.1), (3, 1.86)):
        network.set_weights([np.full_like(w, step) for w in network.get_weights()])
        teacher.update(tf.constant(step))
        for weight in average.get_weights():
            np.testing.assert_allclose(weight, expected, rtol=1e-6)
    assert not average.trainable_variables


def test_the_average_predicts_in_inference_mode_from_the_frames_themselves(network):
    teacher = MovingAverage(network, build.build_model(tiny_config("fcn8s").model, CLASSES), 0.9)
    frames = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)
    np.testing.assert_array_equal(teacher(frames), network(frames.astype(np.float32), training=False))


def test_a_step_moves_the_average_and_a_checkpoint_holds_it(network, tmp_path):
    config = config_of("mean_teacher", confidence=0.0)

    def trainer(network):
        average = build.build_model(tiny_config("fcn8s").model, CLASSES)
        teacher = MovingAverage(network, average, 0.9)
        made = trainer_of(network, config, teacher=teacher)
        made.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        made.optimizer.build(network.trainable_variables)
        return made

    first = trainer(network)
    before = [w.copy() for w in first.average.get_weights()]
    batch = {name: tf.constant(v) for name, v in random_batch(config, 4, SIZE, CLASSES, seed=2).items()}
    first.train_step(batch)
    # After one step the average keeps half of what it was.
    for mean, was, now in zip(first.average.get_weights(), before, network.get_weights(), strict=True):
        np.testing.assert_allclose(mean, (was + now) / 2, rtol=1e-4, atol=1e-6)
    assert any(
        (a != b).any() for a, b in zip(first.average.get_weights(), network.get_weights(), strict=True)
    )

    first.save_weights(tmp_path / "state.weights.h5")
    second = trainer(build.build_model(tiny_config("fcn8s").model, CLASSES))
    second.load_weights(tmp_path / "state.weights.h5")
    for a, b in zip(second.average.get_weights(), first.average.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(second.network.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# --- Mean teacher -----------------------------------------------------------------------------------


def sure_on_the_left(images):
    """A teacher that says class 2 everywhere: sure in the left half, unsure in the right one."""
    logits = np.zeros((len(images), *SIZE, CLASSES), np.float32)
    logits[:, :, : SIZE[1] // 2, 2], logits[:, :, SIZE[1] // 2 :, 2] = 9, 0.5
    return tf.constant(logits)


def test_the_teachers_term_is_added_and_unsure_pixels_add_nothing(network):
    """CE(key) + w · mean over the valid pixels of [sure]·CE, FixMatch's form."""
    config = config_of("mean_teacher", weight=0.0)
    config = replace(config, partner_labels=PartnerLabelConfig(weight=0.5))
    batch = random_batch(config, 4, SIZE, CLASSES, seed=3)
    batch["valid"][...] = True
    values = trainer_of(network, config, teacher=sure_on_the_left).objective(batch)
    label = np.full(batch["label"].shape, 2, np.uint8)
    label[:, :, SIZE[1] // 2 :] = VOID
    explicit = config_of("propagate")  # the same passes with labels that are given
    given = trainer_of(network, explicit).objective(batch | {"partner_label": label})
    np.testing.assert_allclose(
        values["partner_cross_entropy"], 0.5 * given["partner_cross_entropy"], rtol=1e-5
    )
    expected = given["cross_entropy"] + 0.5 * 0.5 * given["partner_cross_entropy"]
    np.testing.assert_allclose(values["loss"], expected, rtol=1e-5)


def test_the_teacher_sees_the_weak_view_and_the_student_the_strong_one(network):
    seen = []

    def teacher(images):
        seen.append(np.array(images))
        return sure_on_the_left(images)

    config = config_of("mean_teacher")
    batch = random_batch(config, 4, SIZE, CLASSES, seed=4)
    batch["weak_partner"] = 255 - batch["partner"]
    objective = trainer_of(network, config, teacher=teacher).objective
    loss = objective(batch)["loss"]
    np.testing.assert_array_equal(seen[0], batch["weak_partner"])
    dark = objective(batch | {"partner": batch["partner"] // 2})["loss"]
    assert not np.allclose(loss, dark)


def test_pasted_partners_have_their_teachers_labels_pasted(network):
    config = config_of("mean_teacher")
    batch = random_batch(config, 4, SIZE, CLASSES, seed=5)
    batch["weak_partner"] = batch["partner"]
    pasted = np.zeros(batch["label"].shape, bool)
    pasted[:, 8:24, 16:48] = True

    def teacher(images):  # the class is the example's place in the batch
        ids = np.broadcast_to(np.arange(len(images))[:, None, None], (len(images), *SIZE))
        return tf.constant(9 * np.eye(CLASSES, dtype=np.float32)[ids])

    objective = trainer_of(network, config, teacher=teacher).objective
    made = objective._with_labels({n: tf.constant(v) for n, v in (batch | {"pasted": pasted}).items()})
    neighbours = [1, 0, 3, 2]
    for example, other in enumerate(neighbours):
        inside = np.where(batch["valid"][other], other, VOID)
        outside = np.where(batch["valid"][example], example, VOID)
        expected = np.where(pasted[example], inside, outside)
        np.testing.assert_array_equal(made["partner_label"][example], expected)
        frame = np.where(pasted[example][..., None], batch["partner"][other], batch["partner"][example])
        np.testing.assert_array_equal(made["partner"][example], frame)


# --- With TAF ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["propagate", "pseudo", "mean_teacher"])
def test_the_taf_term_is_eq_6s_beside_explicit_labels(network, method):
    config = config_of(method, weight=3.0)
    batch = random_batch(config, 4, SIZE, CLASSES, seed=6)
    batch["partner_label"] = batch["label"]
    teacher = None if method == "propagate" else sure_on_the_left
    without = trainer_of(network, config_of(method), teacher=teacher).objective(batch)
    taf = trainer_of(network, tiny_config("fcn8s", method="taf")).objective(batch)
    objective = trainer_of(network, config, teacher=teacher).objective
    values = objective(batch)
    assert set(objective.terms) < set(values)
    assert np.max(taf["taf"]) > 0
    for name in ("taf", "delta", "slack", "sampled"):
        np.testing.assert_allclose(values[name], taf[name], rtol=1e-5, atol=1e-7)
    for name in ("cross_entropy", "partner_cross_entropy"):
        np.testing.assert_allclose(values[name], without[name], rtol=1e-5)
    np.testing.assert_allclose(values["loss"], without["loss"] + 3 * taf["taf"], rtol=1e-5)
    assert "taf" not in without


def test_void_everywhere_is_no_loss():
    logits, void = np.zeros((1, 2, 2, 3), np.float32), np.full((1, 2, 2), VOID)
    assert float(losses.cross_entropy(logits, void)[0]) == 0
