"""The train step against an independent float64 NumPy reference of Eq. 6, and what it must never change."""

import math
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from taf_examples import every_layer, halves, in_float64, random_batch, tiny_config, trainer_of

from taf_keras.clips.clip import VOID
from taf_keras.config import BRANCHES, Config, PartnerLabelConfig
from taf_keras.models import build
from taf_keras.models.build import build_model
from taf_keras.taf import losses
from taf_keras.taf.statistics import BranchStatistics
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.optimizer import CoupledSGD

CLASSES, SIZE = 4, (48, 64)


@pytest.fixture(scope="module", autouse=True)
def backbone_of_every_layer():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "build_backbone", every_layer)
        yield


@pytest.fixture(scope="module", params=["fcn8s", "deeplabv3plus"])
def network(request):
    keras.utils.set_random_seed(0)
    return build_model(tiny_config(request.param).model, CLASSES)


def build_trainer(network, **taf) -> tuple[TAFTrainer, Config]:
    config = tiny_config(network.name, **taf)
    return trainer_of(network, config), config


def numpy_objective(values) -> dict[str, np.ndarray]:
    return {name: keras.ops.convert_to_numpy(value) for name, value in values.items()}


# --- The reference: float64 NumPy but for the layers' own outputs, nothing of taf_keras.taf -----------


def reference(network, config, batch) -> dict[str, np.ndarray]:
    """The terms of Eq. 6; the swap is made example by example where Φ ends."""
    pairs = len(batch["image"])
    frames = np.concatenate([batch["image"], batch["partner"]]).astype(np.float32)
    share = 2 * pairs if config.taf.batch_norm_frames == "all" else pairs
    names, encoder, head = halves(network)
    features = map(keras.ops.convert_to_numpy, normalised_by_first(encoder, frames, share))
    features = dict(zip(names, features, strict=True))
    sampled = [*batch["key_branch"], *batch["partner_branch"]]
    swapped = {name: x.copy() for name, x in features.items()}
    for example, branch in enumerate(sampled):
        name = list(BRANCHES[network.name])[branch]
        partner = example + pairs if example < pairs else example - pairs
        swapped[name][example] = features[name][partner]

    both = [np.concatenate([features[name], swapped[name]]) for name in names]
    logits = normalised_by_first(head, both, 2 * share if share > pairs else share)
    logits = keras.ops.convert_to_numpy(logits)
    logits = upsample(logits.astype(np.float64), frames.shape[1:3])
    probabilities = softmax(logits)
    original, swapped = probabilities[: 2 * pairs], probabilities[2 * pairs :]

    limits, deltas, hinges = [], [], []
    for example in range(2 * pairs):
        n = abs(int(batch["offset_frames"][example % pairs]))
        rate = config.change_rates[sampled[example]]
        inside = batch["valid"][example % pairs]
        limits.append(math.inf if math.isinf(rate) else n * rate)
        change = np.abs(original[example] - swapped[example])[inside]  # (valid pixels, classes)
        deltas.append(change.mean() if change.size else 0.0)
        hinges.append(max(0.0, deltas[-1] - limits[-1]))
    entropies = cross_entropies(original[:pairs], batch["label"])
    taf = np.array(hinges[:pairs]) + np.array(hinges[pairs:])
    return {
        "cross_entropy": entropies,
        "taf": taf,
        "delta": np.array(deltas),
        "slack": np.array(limits),
        "loss": entropies + config.taf.weight * taf,
    }


def normalised_by_first(part, inputs, count: int):
    """`part` in training mode, its batch norm with the statistics of the first `count` examples.

    By way of the moving statistics: at momentum 0 a pass over those examples leaves their own there,
    with which inference mode then normalises the whole batch.
    """
    norms = [x for x in part._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    saved = part.get_weights(), [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    first = keras.tree.map_structure(lambda x: x[:count], inputs)
    part(first, training=True)
    outputs = part(inputs, training=False)
    part.set_weights(saved[0])
    for layer, momentum in zip(norms, saved[1], strict=True):
        layer.momentum = momentum
    return outputs


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def upsample(x, size):
    """Bilinear with aligned pixel centres, as one matrix per axis: (b, h, w, c) -> (b, *size, c)."""
    rows, columns = bilinear(x.shape[1], size[0]), bilinear(x.shape[2], size[1])
    return np.einsum("yh,xw,bhwc->byxc", rows, columns, x)


def bilinear(source: int, target: int):
    weights = np.zeros((target, source))
    for pixel in range(target):
        centre = (pixel + 0.5) * source / target - 0.5
        low = math.floor(centre)
        share = centre - low
        weights[pixel, min(max(low, 0), source - 1)] += 1 - share
        weights[pixel, min(max(low + 1, 0), source - 1)] += share
    return weights


# --- Eq. 6 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "frames"), [(0, "key"), (1, "key"), (2, "all")])
def test_objective_is_eq_6(network, seed, frames):
    rng = np.random.default_rng(seed)
    # From far below to far above the δ of random weights, which are about 1e-3 to 1e-1; the
    # branch with an infinite rate is sampled too, and must then give R+ = 0.
    rates = 10.0 ** rng.uniform(-6, -2, len(BRANCHES[network.name]))
    rates[rng.integers(len(rates))] = math.inf
    weight = float(rng.uniform(0.5, 3))
    trainer, config = build_trainer(
        network, change_rates=tuple(rates), weight=weight, batch_norm_frames=frames
    )
    batch = random_batch(config, 6, SIZE, CLASSES, seed)
    for name in ("key_branch", "partner_branch"):
        batch[name] = rng.integers(0, len(rates), 6).astype(np.int32)

    expected = reference(network, config, batch)
    values = numpy_objective(trainer.objective(batch))
    for name in ("cross_entropy", "slack", "loss"):
        np.testing.assert_allclose(values[name], expected[name], rtol=1e-5, err_msg=name)
    # δ and R+ are differences of probabilities, which float32 holds to 6e-8.
    for name in ("delta", "taf"):
        np.testing.assert_allclose(values[name], expected[name], rtol=1e-5, atol=1e-7, err_msg=name)
    assert (expected["taf"] > 1e-4).any(), "the batch must exercise the hinge"


def test_relative_slack_is_measured_in_input_change(network):
    """5.4: the slack is c_i times the input's own mean absolute change, RGB in [0, 1]."""
    trainer, config = build_trainer(network, relative=True)
    batch = random_batch(config, 3, SIZE, CLASSES, seed=7)
    change = np.abs(batch["image"] / 255 - batch["partner"] / 255)  # (3, h, w, 3), float64
    change = [c[valid].mean() for c, valid in zip(change, batch["valid"], strict=True)]
    rates = np.array(config.change_rates)
    sampled = np.concatenate([batch["key_branch"], batch["partner_branch"]])
    values = numpy_objective(trainer.objective(batch))
    np.testing.assert_allclose(values["slack"], rates[sampled] * np.tile(change, 2), rtol=1e-5)


def test_equal_frames_have_distance_exactly_zero(network):
    """In training mode, traced, for odd and even batches: n = 0, and equal frames at n ≠ 0."""
    trainer, config = build_trainer(network)
    objective = tf.function(trainer.objective, reduce_retracing=True)
    for examples in (1, 2, 3, 8):
        batch = random_batch(config, examples, SIZE, CLASSES, seed=examples)
        batch["offset_frames"][: (examples + 1) // 2] = 0  # the rest keeps n ≠ 0
        batch["partner"][: (examples + 1) // 2] = batch["image"][: (examples + 1) // 2]
        delta = objective(batch)["delta"].numpy()
        same = np.tile(np.arange(examples) < (examples + 1) // 2, 2)
        assert (delta[same] == 0.0).all(), f"{examples} pairs, some n = 0: {delta}"
        assert (delta[~same] > 0).any() or same.all()

        batch["offset_frames"][:] = 4
        batch["partner"] = batch["image"]
        values = numpy_objective(objective(batch))
        assert (values["delta"] == 0.0).all(), f"{examples} pairs of equal frames: {values['delta']}"
        assert (values["taf"] == 0.0).all()


def test_slow_features_have_no_slack(network):
    trainer, config = build_trainer(network, method="slow", change_rates=None)
    batch = random_batch(config, 2, SIZE, CLASSES, seed=3)
    values = numpy_objective(trainer.objective(batch))
    assert (values["slack"] == 0).all()
    np.testing.assert_array_equal(values["taf"], values["delta"].reshape(2, 2).sum(axis=0))


@pytest.mark.parametrize("frames", ["key", "all"])
def test_free_branches_leave_cross_entropy_alone(network, frames):
    """c = inf everywhere: bit for bit the gradient of cross entropy on the key frames.

    The partners take part in batch norm, or not at all.
    """
    rates = (math.inf,) * len(BRANCHES[network.name])
    trainer, config = build_trainer(network, change_rates=rates, weight=5.0, batch_norm_frames=frames)
    batch = random_batch(config, 2, SIZE, CLASSES, seed=3)
    images = batch["image"].astype(np.float32)
    if frames == "all":
        images = np.concatenate([images, batch["partner"]])
    with tf.GradientTape() as tape:
        logits = network(images, training=True)[:2]
        loss = tf.reduce_mean(losses.cross_entropy(logits, batch["label"]))
    expected = tape.gradient(loss, network.trainable_variables)
    assert_same_bits(gradients(trainer, batch), expected)


@pytest.mark.parametrize("taf", [{"weight": 0.0}, {"change_rates": None}])
def test_without_its_term_taf_is_the_baseline(network, taf):
    """λ = 0, or c = inf: gradients and moving statistics are those of a baseline that sees no partner."""
    network = in_float64(network)
    if "change_rates" in taf:
        taf = {"change_rates": (math.inf,) * len(BRANCHES[network.name])}
    trainer, config = build_trainer(network, **taf)
    baseline, _ = build_trainer(network, method="baseline")
    batch = random_batch(config, 3, SIZE, CLASSES, seed=9)
    weights, found = network.get_weights(), []
    for each in (trainer, baseline):
        alone = {"image": batch["image"], "label": batch["label"], "valid": batch["valid"]}
        found.append((gradients(each, batch if each is trainer else alone), network.get_weights()))
        network.set_weights(weights)
    assert any(np.any(a != b) for a, b in zip(weights, found[0][1], strict=True)), "statistics must move"
    for actual, expected in zip(*(found[0][0], found[1][0]), strict=True):
        # The images are cast to float32 on the way in and the loss is float32: hence no 1e-12 here.
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)
    for actual, expected in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-9)


def test_weight_zero_leaves_cross_entropy_alone(network):
    trainer, config = build_trainer(network, weight=0.0)
    batch = random_batch(config, 2, SIZE, CLASSES, seed=4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(trainer.objective(batch)["cross_entropy"])
    expected = tape.gradient(loss, network.trainable_variables)
    assert_same_bits(gradients(trainer, batch), expected)


def test_gradient_flows_through_both_passes(network):
    """The gradient of Eq. 6 along a random direction of Ω's weights is the loss's slope along it.

    A pass without gradient would leave out half of the TAF term, which λ = 20 makes the larger part.
    """
    network = in_float64(network)
    trainer, config = build_trainer(network, weight=20.0, change_rates=(0.0,) * len(BRANCHES[network.name]))
    batch = random_batch(config, 2, SIZE, CLASSES, seed=8)
    rng = np.random.default_rng(0)
    _, _, head = halves(network)
    omega = {v.path for v in head.trainable_variables}
    direction = [rng.normal(size=v.shape) * (v.path in omega) for v in network.trainable_variables]
    weights = [variable.numpy() for variable in network.trainable_variables]
    pairs = zip(gradients(trainer, batch), direction, strict=True)
    slope = sum(np.sum(gradient * along) for gradient, along in pairs)

    beside = []
    # Small, since every kink on the way bends the loss; float32 rounds losses of 3 by 2e-7, which is
    # 0.01 of slope, and slopes are 2 and more here.
    step = 3e-5
    for sign in (1, -1):
        for variable, start, along in zip(network.trainable_variables, weights, direction, strict=True):
            variable.assign(start + sign * step * along)
        beside.append(np.mean(trainer.objective(batch)["loss"], dtype=np.float64))
    np.testing.assert_allclose((beside[0] - beside[1]) / (2 * step), slope, rtol=0.1)


def gradients(trainer, batch):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(trainer.objective(batch)["loss"])
    return tape.gradient(loss, trainer.network.trainable_variables)


def assert_same_bits(actual, expected):
    assert any(np.any(gradient) for gradient in expected)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b)


# --- Explicit label augmentation --------------------------------------------------------------------


def test_propagated_labels_enter_as_a_weighted_mean(network):
    """(CE(key) + w·CE(partner)) / (1 + w), both normalised by the key frames' statistics."""
    config = replace(
        tiny_config(network.name, method="propagate"), partner_labels=PartnerLabelConfig(weight=0.5)
    )
    trainer = trainer_of(network, config)
    batch = random_batch(config, 3, SIZE, CLASSES, seed=10)
    rng = np.random.default_rng(0)
    batch["partner_label"] = rng.integers(0, CLASSES, batch["label"].shape).astype(np.uint8)
    frames = np.concatenate([batch["image"], batch["partner"]]).astype(np.float32)
    logits = np.asarray(normalised_by_first(network, frames, 3), np.float64)
    labels = np.concatenate([batch["label"], batch["partner_label"]])
    entropies = cross_entropies(softmax(logits), labels)
    values = trainer.objective(batch)
    assert set(values) == {"cross_entropy", "partner_cross_entropy", "loss"}
    np.testing.assert_allclose(values["cross_entropy"], entropies[:3], rtol=1e-5)
    np.testing.assert_allclose(values["partner_cross_entropy"], entropies[3:], rtol=1e-5)
    expected = (entropies[:3] + 0.5 * entropies[3:]) / 1.5
    np.testing.assert_allclose(values["loss"], expected, rtol=1e-5)


def test_pseudo_labels_are_the_teachers_where_it_is_sure(network):
    """A teacher whose probabilities are known: 0.97 for the class of the column, or 0.4 in odd rows."""
    config = replace(
        tiny_config(network.name, method="pseudo"),
        partner_labels=PartnerLabelConfig(teacher="somewhere", confidence=0.9),
    )
    classes = np.arange(SIZE[1]) % CLASSES

    def teacher(images):
        rows = np.arange(SIZE[0])[:, None, None] % 2
        best = np.where(rows == 1, 0.4, 0.97) * np.eye(CLASSES)[classes]  # (h, w, classes)
        rest = np.where(np.eye(CLASSES)[classes] == 1, 0, (1 - best.max(-1, keepdims=True)) / (CLASSES - 1))
        logits = np.log(best + rest).astype(np.float32)
        return tf.tile(logits[None], [len(images), 1, 1, 1])

    trainer = trainer_of(network, config, teacher=teacher)
    batch = random_batch(config, 3, SIZE, CLASSES, seed=11)
    labels = np.broadcast_to(classes, batch["label"].shape).copy()
    labels[:, 1::2] = VOID
    labels[~batch["valid"]] = VOID
    frames = np.concatenate([batch["image"], batch["partner"]]).astype(np.float32)
    logits = np.asarray(normalised_by_first(network, frames, 3), np.float64)
    values = trainer.objective(batch)
    expected = cross_entropies(softmax(logits[3:]), labels)
    np.testing.assert_allclose(values["partner_cross_entropy"], expected, rtol=1e-5)


def cross_entropies(probabilities, labels):
    """Mean over the labelled pixels of each example, float64."""
    entropies = []
    for p, label in zip(probabilities, labels, strict=True):
        rows, columns = np.nonzero(label != VOID)
        entropies.append(-np.log(p[rows, columns, label[rows, columns]]).mean() if rows.size else 0.0)
    return np.array(entropies)


# --- The rest of the train step ---------------------------------------------------------------------


def test_baseline_batch_has_no_partner(network):
    trainer, config = build_trainer(network, method="baseline")
    batch = random_batch(config, 3, SIZE, CLASSES, seed=5)
    assert "partner" not in batch
    values = trainer.objective(batch)
    assert set(values) == {"cross_entropy", "taf", "loss"}
    assert not np.any(values["taf"])
    logits = np.asarray(network(batch["image"].astype(np.float32), training=True), np.float64)
    expected = cross_entropies(softmax(logits), batch["label"])
    np.testing.assert_allclose(values["loss"], expected, rtol=1e-5)


def test_methods_share_one_network(network):
    """Swap and second pass have no weights: the trainers own the network's variables and no others."""
    paths = [variable.path for variable in network.variables]
    for method in ("taf", "baseline", "slow"):
        rates = {"change_rates": None} if method == "slow" else {}
        trainer, config = build_trainer(network, method=method, **rates)
        assert [variable.path for variable in trainer.variables] == paths
        rebuilt = build_model(config.model, CLASSES)
        assert [variable.shape for variable in rebuilt.variables] == [v.shape for v in network.variables]


@pytest.mark.parametrize("replicas", [1, 2])
def test_train_step_takes_the_mean_over_the_global_batch(network, replicas):
    """One step of plain SGD moves every weight by −rate · gradient of the mean loss / replicas."""
    saved = network.get_weights()
    config = tiny_config(network.name)
    trainer = trainer_of(network, config, replicas)
    trainer.compile(optimizer=CoupledSGD(0.5, momentum=0.0))
    batch = random_batch(config, 2, SIZE, CLASSES, seed=6)
    values = trainer.objective(batch)
    expected = gradients(trainer, batch)
    before = [variable.numpy() for variable in network.trainable_variables]
    results = trainer.train_step(batch)
    for variable, start, gradient in zip(network.trainable_variables, before, expected, strict=True):
        np.testing.assert_allclose(variable, start - 0.5 * gradient.numpy() / replicas, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(results["loss"], np.mean(values["loss"]), rtol=1e-5)
    np.testing.assert_allclose(results["cross_entropy"], np.mean(values["cross_entropy"]), rtol=1e-5)
    np.testing.assert_allclose(results["taf"], np.mean(values["taf"]), rtol=1e-5)
    network.set_weights(saved)


def test_the_penalty_that_a_layer_asks_for_its_weights_is_in_the_step(network):
    """Of a model of the user's own: its gradient, 2 · 0.25 · w, comes to that of the loss."""
    saved = network.get_weights()
    config = tiny_config(network.name)
    batch = random_batch(config, 2, SIZE, CLASSES, seed=6)
    penalised, after = network.trainable_variables[0], []
    start = np.array(penalised)
    for regularizer in (None, keras.regularizers.L2(0.25)):
        penalised.regularizer = regularizer
        network.set_weights(saved)
        trainer = trainer_of(network, config, replicas=2)
        trainer.compile(optimizer=CoupledSGD(0.5, momentum=0.0))
        trainer.train_step(batch)
        after.append([np.array(variable) for variable in network.trainable_variables])
    penalised.regularizer = None
    network.set_weights(saved)
    (plain, *others), (with_penalty, *same) = after
    np.testing.assert_allclose(with_penalty, plain - 0.5 * 0.5 * start / 2, rtol=1e-4, atol=1e-6)
    for other, equal in zip(others, same, strict=True):
        np.testing.assert_array_equal(other, equal)


def test_branch_statistics_are_exact():
    metric = BranchStatistics(("slow", "fast", "never"))
    # slow: δ 0.25 over 0.125, δ 0.5 not over 0.5 (the hinge is 0 there). fast: δ 1 under inf.
    metric.update_state(np.float32([0.25, 1.0]), np.float32([0.125, math.inf]), np.int32([0, 1]))
    metric.update_state(np.float32([0.5]), np.float32([0.5]), np.int32([0]))
    expected = {
        "delta/slow": 0.375,
        "over_slack/slow": 0.5,
        "delta/fast": 1.0,
        "over_slack/fast": 0.0,
        "delta/never": 0.0,
        "over_slack/never": 0.0,
    }
    assert {name: float(value) for name, value in metric.result().items()} == expected
    metric.reset_state()
    assert not any(float(value) for value in metric.result().values())
