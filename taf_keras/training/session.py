"""The part of a run that needs TensorFlow: model, training, evaluation, export."""

from __future__ import annotations

import time
from collections.abc import Callable

import keras
import tensorflow as tf

from taf_keras.clips.clip import Split
from taf_keras.clips.decode import read_image
from taf_keras.config import Config
from taf_keras.datasets.load import evaluation_split
from taf_keras.devices import describe, out_of_memory
from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.evaluation.evaluate import evaluate_split, network_predictor
from taf_keras.evaluation.network import exported_checkpoint, latest_checkpoint, load_network
from taf_keras.models.build import build_model
from taf_keras.multi_worker.cluster import Cluster
from taf_keras.multi_worker.connection import from_chief, share_state
from taf_keras.progress import Progress
from taf_keras.serving.export import check_formats, export_model
from taf_keras.storage import checkpoint
from taf_keras.storage.checkpoint import Best
from taf_keras.storage.run import Run
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.fit import fit
from taf_keras.training.objective import build_objective
from taf_keras.training.optimizer import build_optimizer
from taf_keras.training.steps import compile_arguments


class Session:
    """One run's model on its devices.

    Making one builds the model, so that weights that cannot be had are refused here.

    Args:
        config: the run's settings.
        classes: class table of the data set.
        cluster: the workers that train together; the first alone reads and writes the run's folder.
        strategy: their devices, see `build_strategy`.
    Raises: UserError for weights that cannot be had.
    """

    def __init__(self, config: Config, classes, cluster: Cluster, strategy: tf.distribute.Strategy):
        self.config, self.classes, self.cluster = config, classes, cluster
        check_formats(config.runtime.export_formats)
        deterministic = is_deterministic(config)
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        self.strategy = strategy
        self.replicas = strategy.num_replicas_in_sync
        gpus = tf.config.list_physical_devices("GPU")
        self.devices = describe(gpus, self.replicas // len(cluster.workers))  # of this machine
        config.check_accumulation(self.replicas)
        self.compile_arguments = compile_arguments(config.runtime, self.replicas, deterministic)
        keras.utils.set_random_seed(config.training.seed)
        keras.config.set_dtype_policy(config.training.dtype)
        with self.strategy.scope():
            self.network = build_model(config.model, len(classes))
            self.teacher = _teacher(config, classes) if config.taf.method == "pseudo" else None
        self.predict = network_predictor(self.network)

    def train(self, splits: dict[str, Split], run: Run) -> dict:
        """Trains from the last checkpoint of `run`, or from the beginning, to the end.

        Args:
            splits: {"train": …} and, where validations are asked for, {"val": …}.
        Returns: {"steps": …, "training_seconds": … of this call}.
        Raises: UserError at a loss that is not finite, or a damaged checkpoint.
        """
        config = self.config
        steps_per_epoch = config.steps_per_epoch(len(splits["train"].clips))
        steps = config.training.epochs * steps_per_epoch
        with self.strategy.scope():
            trainer = TAFTrainer(
                build_objective(config, self.network, self.teacher),
                ConfusionMatrix(self.classes.names),
                self.replicas,
                config.training.gradient_accumulation_steps,
            )
            trainer.compile(build_optimizer(config.training, steps), **self.compile_arguments)
            trainer.optimizer.build(self.network.trainable_variables)
        first_step, sums, best = _resume(trainer, run) if self.cluster.is_chief else (0, {}, Best())
        if self.cluster.is_distributed:
            first_step = share_state(self.strategy, trainer, first_step)
        began = time.monotonic()
        if first_step < steps:
            fit(config, trainer, self.predict, splits, run, self.cluster.is_chief, first_step, sums, best)
        return {"steps": steps, "training_seconds": time.monotonic() - began}

    def finish(self, splits: dict[str, Split], run: Run) -> dict:
        """Evaluates and exports what was trained, with a model that knows nothing of replicas.

        Returns: the metrics of the evaluation split, with the `weights` that they are of.
        """
        config, runtime = self.config, self.config.runtime
        step, path = exported_checkpoint(run, config)
        network, predict = self.network, self.predict
        if self.replicas > 1 or config.training.export_weights == "best":
            network = load_network(config, self.classes.names, path)
            predict = network_predictor(network)
        final = splits[evaluation_split(config.data)]
        with (
            Progress(f"evaluating {final.name}") as progress,
            out_of_memory("give a smaller --eval_batch_size"),
        ):
            metrics, _ = evaluate_split(
                predict, final, config.data.image_size, runtime.threads, progress, runtime.eval_batch_size
            )
        size = read_image(final.clips[0].key_frame.image, config.data.image_size).shape[:2]
        export_model(network, self.classes, run.export, size)
        return metrics | {"weights": config.training.export_weights, "weights_step": step}

    def wait_for_all(self) -> None:
        """Returns when all workers have come to this call: none ends before the chief has written all."""
        if self.cluster.is_distributed:
            from_chief(self.strategy, [0])


def is_deterministic(config: Config) -> bool:
    """Whether operations give the same each time. It costs nothing on a CPU, but keeps XLA off."""
    return config.runtime.deterministic or not tf.config.list_physical_devices("GPU")


def _teacher(config: Config, classes) -> Callable:
    run = Run(config.partner_labels.teacher)
    network = load_network(run.config, classes.names, latest_checkpoint(run))
    return lambda images: network(images, training=False)


def _resume(trainer: TAFTrainer, run: Run) -> tuple[int, dict, Best]:
    """Loads the newest checkpoint.

    Returns: the steps that are done, the sums of a begun epoch, and the best validation so far.
    """
    newest = checkpoint.latest(run.checkpoints)
    if newest is None:
        return 0, {}, Best()
    step, path = newest
    sums = checkpoint.load(trainer, path)
    print(f"resuming at step {step} from {path}")
    return step, sums, checkpoint.best_until(path)
