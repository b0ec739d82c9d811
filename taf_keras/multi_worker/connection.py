"""A worker's connection to the others: how it is made, what it carries, and one line when it breaks."""

from __future__ import annotations

import re
from contextlib import contextmanager

import keras
import tensorflow as tf

from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.multi_worker.cluster import Cluster
from taf_keras.multi_worker.rendezvous import meet

# What TensorFlow raises in a worker whose connection to another breaks, or is never made.
_BROKEN = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def connect(cluster: Cluster, config: Config) -> tf.distribute.MultiWorkerMirroredStrategy:
    """The strategy of all workers, once all of them are there; before TensorFlow's first operation.

    Raises: UserError that names a worker that has not come, or was started with other flags.
    """
    meet(cluster, config)
    return tf.distribute.MultiWorkerMirroredStrategy()


@contextmanager
def broken_connections(cluster: Cluster):
    """Inside, the end of another worker is a UserError that names it."""
    try:
        yield
    except _BROKEN as error:
        if not cluster.is_distributed:
            raise
        named = [int(index) for index in re.findall(r"/task:(\d+)", str(error))]
        others = [index for index in named if index != cluster.index and index < len(cluster.workers)]
        gone = f"worker {others[0]} ({cluster.workers[others[0]]})" if others else "a worker"
        raise UserError(
            f"{gone} is gone: its own last lines say why; start all workers again with the same command, "
            "and training goes on at the last checkpoint"
        ) from None


def share_state(cluster: Cluster, strategy: tf.distribute.Strategy, trainer: keras.Model, step: int) -> int:
    """Gives every worker the weights, their average and the optimizer state of the first; returns its step.

    So the run's folder needs to be seen by the first worker alone, and all of them resume at the same step.
    """
    if not cluster.is_distributed:
        return step
    average = trainer.average.variables if trainer.moving_average else []
    variables = [*trainer.network.variables, *average, *trainer.optimizer.variables]
    *values, step = from_chief(strategy, [*variables, step])
    for variable, value in zip(variables, values, strict=True):
        variable.assign(tf.cast(value, variable.dtype))
    return int(step)


def wait_for_all(cluster: Cluster, strategy: tf.distribute.Strategy) -> None:
    """Returns when all workers have come to this call: none ends before the chief has written all."""
    if cluster.is_distributed:
        from_chief(strategy, [0])


def from_chief(strategy: tf.distribute.Strategy, values) -> list[tf.Tensor]:
    """The values of the first worker, float64, on all of them; waits until all have called it."""

    def on_replica(values):
        context = tf.distribute.get_replica_context()
        first = tf.equal(context.replica_id_in_sync_group, 0)
        # What the others add to the sum is nothing.
        return context.all_reduce(
            tf.distribute.ReduceOp.SUM, [tf.where(first, value, tf.zeros_like(value)) for value in values]
        )

    @tf.function
    def summed(values):
        return strategy.run(on_replica, args=(values,))

    # One message has one type, and float64 has room for the values of all others.
    totals = summed([tf.cast(value, tf.float64) for value in values])
    return [strategy.experimental_local_results(total)[0] for total in totals]
