import math

import keras
import numpy as np
import pytest

from taf_keras.config import TrainingConfig
from taf_keras.training.optimizer import CoupledSGD, PolynomialDecay, build_optimizer

START = [np.array([1.0, -2.0, 0.5]), np.array([[0.3], [4.0]])]
# Three steps' gradients for both variables; the last of the second is 0, and its momentum goes on.
GRADIENTS = [
    [np.array([0.1, 0.2, -0.3]), np.array([[1.0], [-1.0]])],
    [np.array([-0.4, 0.1, 0.0]), np.array([[0.5], [0.25]])],
    [np.array([0.2, -0.6, 0.7]), np.array([[0.0], [0.0]])],
]


def pytorch_sgd(rate: float, momentum: float, decay: float) -> list[np.ndarray]:
    """torch.optim.SGD(nesterov=True), as its documentation writes it, in float64."""
    weights = [w.copy() for w in START]
    buffers = [np.zeros_like(w) for w in START]
    for gradients in GRADIENTS:
        for i, gradient in enumerate(gradients):
            gradient = gradient + decay * weights[i]
            buffers[i] = momentum * buffers[i] + gradient
            weights[i] = weights[i] - rate * (gradient + momentum * buffers[i])
    return weights


def keras_sgd(optimizer, factor: float = 1.0) -> list[np.ndarray]:
    """The weights after three steps of `optimizer` with `factor` times the gradients."""
    variables = [keras.Variable(w.astype(np.float32)) for w in START]
    optimizer.build(variables)
    for gradients in GRADIENTS:
        gradients = [keras.ops.convert_to_tensor((factor * g).astype(np.float32)) for g in gradients]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return [variable.numpy() for variable in variables]


def distance(a, b) -> float:
    return max(np.abs(x - y).max() for x, y in zip(a, b, strict=True))


# --- Weight decay -----------------------------------------------------------------------------------


def test_the_first_step_by_hand():
    """w = 1, g = 0.1: with decay 0.5 the gradient is 0.1 + 0.5·1 = 0.6, and so is the buffer.

    Nesterov steps by 0.1·(0.6 + 0.9·0.6) = 0.114.
    """
    variable = keras.Variable(np.float32([1.0]))
    CoupledSGD(0.1, momentum=0.9, l2=0.5).apply_gradients([(np.float32([0.1]), variable)])
    np.testing.assert_allclose(variable, [1 - 0.114], rtol=1e-6)


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 0.0), (0.9, 0.1), (0.5, 0.3), (0.0, 0.1)])
def test_three_steps_are_those_of_pytorch(momentum, decay):
    actual = keras_sgd(CoupledSGD(0.1, momentum=momentum, l2=decay))
    assert distance(actual, pytorch_sgd(0.1, momentum, decay)) < 1e-6
    if decay:  # the decay moves the weights by far more than the tolerance
        assert distance(actual, pytorch_sgd(0.1, momentum, 0.0)) > 1e-2


def test_the_weight_decay_of_keras_is_another():
    """It does not go through the momentum, so that it moves the weights by less."""
    decoupled = keras_sgd(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1))
    coupled, none = pytorch_sgd(0.1, 0.9, 0.1), pytorch_sgd(0.1, 0.9, 0.0)
    assert distance(decoupled, coupled) > 1e-2
    assert distance(decoupled, none) < 0.7 * distance(coupled, none)


def test_without_gradients_the_decay_is_ten_times_that_of_keras():
    """Momentum 0.9 adds up to 1/(1 − 0.9) = 10 times the gradient, once it has built up.

    In units of rate·decay, step t of Nesterov's is 1 + 0.9·(1 − 0.9^t)/(1 − 0.9) = 10 − 9·0.9^t, and 300
    steps are 3000 − 9·9 = 2919 beside 300: 9.73 times. float32 rounds the small steps by up to 0.3 %.
    """
    decays = []
    for optimizer in (
        CoupledSGD(0.1, momentum=0.9, l2=1e-4),
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
    ):
        variable = keras.Variable(np.float32([1.0]))
        optimizer.build([variable])
        for _ in range(300):
            optimizer.apply_gradients([(np.float32([0.0]), variable)])
        decays.append(-math.log(variable.numpy()[0]))
    assert decays[0] / decays[1] == pytest.approx(9.73, rel=0.01)


def test_loss_scaling_does_not_scale_the_decay():
    """float16: the gradients arrive multiplied by the loss scale, which is taken off before the decay."""
    config = TrainingConfig(
        learning_rate=0.1, weight_decay=0.1, lr_power=0, warmup_steps=0, dtype="mixed_float16"
    )
    optimizer = build_optimizer(config, steps=10)
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    actual = keras_sgd(optimizer, factor=optimizer.initial_scale)
    assert distance(actual, pytorch_sgd(0.1, 0.9, 0.1)) < 1e-6


# --- Learning rate ----------------------------------------------------------------------------------


def test_polynomial_decay():
    schedule = PolynomialDecay(0.2, steps=1000, power=0.9)
    assert float(schedule(0)) == pytest.approx(0.2, rel=1e-6)
    assert float(schedule(500)) == pytest.approx(0.2 * 0.5**0.9, rel=1e-6)
    assert float(schedule(900)) == pytest.approx(0.2 * 0.1**0.9, rel=1e-5)
    assert float(schedule(1000)) == 0
    assert float(schedule(1500)) == 0  # not NaN, the root of a negative number
    rates = [float(schedule(step)) for step in range(0, 1001, 50)]
    assert rates == sorted(rates, reverse=True)


def test_power_1_is_linear_and_power_0_constant():
    assert float(PolynomialDecay(0.2, 10, power=1)(3)) == pytest.approx(0.14, rel=1e-6)
    assert float(PolynomialDecay(0.2, 10, power=0)(7)) == pytest.approx(0.2, rel=1e-6)


def test_warm_up_is_linear_and_multiplies_the_decay():
    plain, warm = PolynomialDecay(0.2, 100), PolynomialDecay(0.2, 100, warmup_steps=4)
    shares = [float(warm(step)) / float(plain(step)) for step in range(8)]
    assert shares == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 1, 1, 1, 1], rel=1e-6)


def test_the_optimizer_is_that_of_the_config():
    """Table 2's settings; the rate follows the steps that were taken."""
    config = TrainingConfig(learning_rate=0.1, momentum=0.8, weight_decay=1e-4, lr_power=0.9, warmup_steps=0)
    optimizer = build_optimizer(config, steps=3)
    assert type(optimizer) is CoupledSGD
    assert (optimizer.momentum, optimizer.nesterov, optimizer.l2) == (0.8, True, 1e-4)
    assert not optimizer.weight_decay  # Keras's own, decoupled
    assert float(optimizer.learning_rate) == pytest.approx(0.1, rel=1e-6)
    keras_sgd(optimizer)
    assert int(optimizer.iterations) == 3
    assert float(optimizer.learning_rate) == 0


# --- Saving -----------------------------------------------------------------------------------------


def test_the_optimizer_survives_its_config():
    schedule = PolynomialDecay(0.3, 50, power=0.7, warmup_steps=5)
    optimizer = CoupledSGD(schedule, momentum=0.8, l2=0.02)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is CoupledSGD
    assert again.get_config() == optimizer.get_config()
    assert (again.l2, again.momentum, again.nesterov) == (0.02, 0.8, True)
    assert distance(keras_sgd(again), keras_sgd(optimizer)) == 0

    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert type(again) is PolynomialDecay
    assert again.get_config() == schedule.get_config()
    assert [float(again(step)) for step in (0, 3, 20)] == [float(schedule(step)) for step in (0, 3, 20)]


def test_adamw_is_that_of_keras():
    """With the schedule, the momentum and the decay of the run; one step by its definition."""
    config = TrainingConfig(
        optimizer="adamw", learning_rate=0.1, momentum=0.8, weight_decay=0.5, warmup_steps=0, lr_power=1.0
    )
    optimizer = build_optimizer(config, steps=10)
    variable = keras.Variable(np.float32([2.0]))
    optimizer.apply([keras.ops.convert_to_tensor(np.float32([3.0]))], [variable])
    # The first step is the rate in the gradient's direction, after the decay of rate·decay·w.
    np.testing.assert_allclose(variable, [2.0 * (1 - 0.1 * 0.5) - 0.1], rtol=1e-5)
    assert optimizer.beta_1 == 0.8
    np.testing.assert_allclose(optimizer.learning_rate, 0.1 * (1 - 1 / 10), rtol=1e-6)
