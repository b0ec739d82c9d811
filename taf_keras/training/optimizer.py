"""The optimizers: SGD as the paper's implementation understands it (supplement 5.2), and AdamW."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import ops

from taf_keras.config import TrainingConfig
from taf_keras.models.replicas import sum_over_replicas


@keras.saving.register_keras_serializable("taf_keras")
class CoupledSGD(keras.optimizers.SGD):
    """SGD with Nesterov momentum whose weight decay is coupled L2: g + decay·w goes through the momentum.

    The `weight_decay` of Keras is decoupled: it multiplies the weights by 1 − lr·decay beside the
    momentum, which at momentum 0.9 decays ten times less.

    As in all of Keras, the learning rate is applied before the momentum. PyTorch applies it after:
    the two agree at a constant rate and differ slightly while the rate changes.

    Args:
        l2: the factor of w in the gradient; every trainable variable decays, as in PyTorch.
    """

    def __init__(self, learning_rate=0.01, momentum=0.9, l2=0.0, name="coupled_sgd", **kwargs):
        kwargs.pop("nesterov", None)
        super().__init__(learning_rate, momentum=momentum, nesterov=momentum > 0, name=name, **kwargs)
        self.l2 = l2

    def update_step(self, gradient, variable, learning_rate):
        # Here gradients are already summed over replicas, so the decay is added once.
        gradient = ops.add(gradient, ops.multiply(ops.cast(self.l2, variable.dtype), variable))
        if not self.momentum:
            return super().update_step(gradient, variable, learning_rate)
        # What Keras writes as a dozen operations is one of TensorFlow, with the same roundings. There are
        # hundreds of variables: a step is traced sooner, and launches fewer kernels on a GPU.
        momentum = self.momentums[self._get_variable_index(variable)]
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=momentum.value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )

    def get_config(self):
        return super().get_config() | {"l2": self.l2}


@keras.saving.register_keras_serializable("taf_keras")
class LossScale(keras.optimizers.LossScaleOptimizer):
    """Keras' dynamic loss scaling, where a gradient that overflows on any replica stops the update of all.

    Keras asks the first replica alone, before the gradients are summed: with an overflow on another one, it
    adds infinity to the weights of all.
    """

    def check_finite(self, grads):
        overflows = 1.0 - ops.cast(super().check_finite(grads), "float32")
        return sum_over_replicas(overflows) == 0


@keras.saving.register_keras_serializable("taf_keras")
class PolynomialDecay(keras.optimizers.schedules.LearningRateSchedule):
    """initial·(1 − step/steps)^power, to 0 at the end, after a linear warm-up of `warmup_steps`.

    The warm-up multiplies the decay by (step + 1)/warmup_steps and is off in the paper's recipes.
    """

    def __init__(self, initial: float, steps: int, power: float = 0.9, warmup_steps: int = 0):
        self.initial, self.steps, self.power, self.warmup_steps = initial, steps, power, warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rate = self.initial * ops.power(1 - ops.minimum(step, self.steps) / self.steps, self.power)
        if self.warmup_steps:
            rate *= ops.minimum(1.0, (step + 1) / self.warmup_steps)
        return rate

    def get_config(self):
        return {
            "initial": self.initial,
            "steps": self.steps,
            "power": self.power,
            "warmup_steps": self.warmup_steps,
        }


def build_optimizer(config: TrainingConfig, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a training of `steps` steps; with dynamic loss scaling for float16."""
    schedule = PolynomialDecay(config.learning_rate, steps, config.lr_power, config.warmup_steps)
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay, beta_1=config.momentum)
    else:
        optimizer = CoupledSGD(schedule, momentum=config.momentum, l2=config.weight_decay)
    if config.dtype == "mixed_float16":
        optimizer = LossScale(optimizer)
    return optimizer
