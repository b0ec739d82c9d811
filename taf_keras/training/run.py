"""A whole training run: from a configuration to a folder with metrics, checkpoints and an export."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

from taf_keras.clips.decode import read_image
from taf_keras.config import Config, check_crop_size
from taf_keras.datasets.load import class_table, evaluation_split
from taf_keras.devices import out_of_memory
from taf_keras.files import write_json, writing
from taf_keras.inspection.check import load_checked
from taf_keras.inspection.partner_reach import partners_within
from taf_keras.multi_worker.cluster import read_cluster
from taf_keras.progress import Progress
from taf_keras.serving.formats import check_formats
from taf_keras.storage.run import Run
from taf_keras.training.resolve import resolve

_LESS_MEMORY = (
    "a smaller --batch_size or --crop_size needs less, and so does the same batch in "
    "--gradient_accumulation_steps; for validations there is --eval_batch_size"
)


def train(config: Config) -> dict:
    """Trains, evaluates and exports the run that `config` describes, and says what it did.

    Everything that can be wrong with the input is looked at before the first step. A run that was
    interrupted goes on at its last checkpoint; one that has ended is not run again.

    Of several workers (TF_CONFIG) all call this with the same configuration, and the first alone writes.
    Returns: the metrics of the evaluation split, as in metrics.json; {} on other workers than the first.
    Raises: UserError for bad input, a loss that is not finite, a worker that is lost, a device without
        memory, or a disk that cannot be written; PartlyDone where an optional format of the export failed;
        Interrupted when a signal has stopped the run.

    Example:
        >>> train(Config(runtime=RuntimeConfig(model_dir="runs/mine")))["miou"]
        0.55
    """
    started = time.monotonic()

    # ------------------------------------------------------------------------------------------- Resolve
    # What can be refused at once: without TensorFlow's seconds, and without reading an image.
    cluster = read_cluster(config)
    run = Run(config.runtime.model_dir)
    config = resolve(config, run)
    data, training, runtime = config.data, config.training, config.runtime
    classes = class_table(data)
    chief = cluster.is_chief  # it alone reads and writes the run's folder
    if run.has_ended:
        print(f"{run.folder}: this run has ended already; its metrics are in {run.metrics_file}")
        if chief and runtime.export_formats:
            from taf_keras.training.formats import add_formats

            with run.claim(config, classes.names), writing(run.folder):
                add_formats(run, config, classes)
        return run.metrics
    check_formats(runtime.export_formats)
    if chief:
        run.require_usable()

    # ---------------------------------------------------------------------------------------------- Data
    # Every file of every split, before anything is built for it.
    final = evaluation_split(data)
    splits = {
        name: load_checked(data, name, partners_within(data, config.taf.method, name), runtime.threads)
        for name in dict.fromkeys(["train", final, *(["val"] if runtime.validations else [])])
    }
    if chief:
        run.check_clips(splits["train"].clips)
    frame = read_image(splits["train"].clips[0].key_frame.image, data.image_size)
    check_crop_size(data.crop_size or frame.shape[:2], frame.shape[:2], config.model.output_stride)
    steps_per_epoch = config.steps_per_epoch(len(splits["train"].clips))
    steps = training.epochs * steps_per_epoch

    # --------------------------------------------------------------------------------------------- Model
    # From here on there is TensorFlow, and other workers whose end is one line here.
    import keras
    import tensorflow as tf

    from taf_keras.evaluation.confusion import ConfusionMatrix
    from taf_keras.evaluation.evaluate import evaluate_split, network_predictor
    from taf_keras.evaluation.network import exported_checkpoint, load_network
    from taf_keras.models.build import dtype_policy
    from taf_keras.multi_worker.connection import broken_connections, share_state, wait_for_all
    from taf_keras.multi_worker.keras_fit import ReplicatedTrainer
    from taf_keras.pipeline.batches import evaluation_batches, reader_errors, training_batches
    from taf_keras.serving.export import export_model
    from taf_keras.training import callbacks, checkpoints, screens
    from taf_keras.training import steps as stepping
    from taf_keras.training.class_weights import class_weights
    from taf_keras.training.formats import add_formats
    from taf_keras.training.initial_weights import build_network, load_initial_weights
    from taf_keras.training.interruption import stop_requests
    from taf_keras.training.measure_rates import with_measured_rates
    from taf_keras.training.objective import build_objective, build_teacher
    from taf_keras.training.optimizer import build_optimizer
    from taf_keras.training.own_model import check_own_model
    from taf_keras.training.strategy import build_strategy, distribute, is_deterministic

    with ExitStack() as stack:
        stack.enter_context(broken_connections(cluster))
        strategy = build_strategy(config, cluster)
        measured = config.measures_rates
        config = with_measured_rates(config, splits["train"], cluster, strategy)
        replicas = strategy.num_replicas_in_sync
        config.check_accumulation(replicas)
        deterministic = is_deterministic(runtime)
        compile_arguments = stepping.compile_arguments(runtime, replicas, deterministic)
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(training.seed)
        with dtype_policy(training.dtype), strategy.scope():
            network, config = build_network(config, len(classes))
            check_own_model(config, network, splits)
            if chief:
                load_initial_weights(config, run, network, classes.names)
            teacher = build_teacher(config, network, classes.names)
            weights = class_weights(training.class_weights, splits["train"])
            trainer = ReplicatedTrainer(
                build_objective(config, network, teacher, weights),
                ConfusionMatrix(classes.names),
                replicas,
                training.gradient_accumulation_steps,
                teacher if config.taf.method == "mean_teacher" else None,
            )
            trainer.compile(build_optimizer(training, steps), **compile_arguments)
            trainer.optimizer.build(network.trainable_variables)
        predict = network_predictor(network)

        # ------------------------------------------------------------------------------------------- Loop
        if chief:
            stack.enter_context(run.claim(config, classes.names, splits["train"].clips, measured))
        stack.enter_context(writing(run.folder))
        if chief:
            screens.announce(config, splits, network, strategy, cluster)
        first_step, sums, best, earlier = checkpoints.resume(trainer, run) if chief else checkpoints.Begun()
        first_step = share_state(cluster, strategy, trainer, first_step)
        spent = checkpoints.Stopwatch(started, earlier)
        if first_step < steps:
            validated, validation = stepping.validated_epochs(config), {}
            if runtime.validations:
                how = (splits["val"], data.image_size, runtime.eval_batch_size, runtime.threads)
                batches = distribute(strategy, partial(evaluation_batches, *how))
                validation = {"validation_data": batches, "validation_freq": validated}
            with (
                Progress("training") as progress,
                reader_errors(),
                out_of_memory(_LESS_MEMORY),
                stop_requests(
                    "" if chief else "worker 0 saves and ends the run; a second signal ends this worker"
                ) as request,
            ):
                # In this order: what adds to the logs, what writes them, a checkpoint of all that is written.
                finite = callbacks.StopAtNaN(
                    run.checkpoints, runtime.log_every, first_step, predict, frame if chief else None
                )
                around = [checkpoints.GoOnWithEpoch(sums), callbacks.StepLogs(training.batch_size), finite]
                if chief:
                    around += callbacks.writers(
                        config, trainer, predict, splits, run, first_step, steps, progress
                    )
                    around.append(
                        checkpoints.SaveCheckpoints(
                            run.checkpoints,
                            validated,
                            runtime.checkpoint_minutes,
                            steps_per_epoch,
                            first_step,
                            request,
                            finite.check,
                            best if training.keep_best == "miou" else None,
                            spent,
                        )
                    )
                # The rest of an epoch that was interrupted, then the whole epochs.
                for first, end in stepping.stretches(first_step, steps, steps_per_epoch):

                    def batches(share, first=first, end=end):
                        return training_batches(splits["train"], config, first, end, share).repeat()

                    stepping.fit(
                        trainer,
                        distribute(strategy, batches),
                        first,
                        end,
                        steps_per_epoch,
                        around,
                        validation,
                    )
        training_seconds = spent().training_seconds

        # ----------------------------------------------------------------------------------------- Finish
        # The chief evaluates and exports, with a network that knows nothing of replicas.
        metrics = {}
        if chief:
            step, path = exported_checkpoint(run, config)
            if replicas > 1 or training.export_weights == "best":
                network = load_network(config, classes.names, path)
                predict = network_predictor(network)
            with (
                Progress(f"evaluating {final}") as progress,
                out_of_memory("give a smaller --eval_batch_size"),
            ):
                metrics, _ = evaluate_split(
                    predict,
                    splits[final],
                    data.image_size,
                    runtime.threads,
                    progress,
                    runtime.eval_batch_size,
                )
            size = read_image(splits[final].clips[0].key_frame.image, data.image_size).shape[:2]
            export_model(network, classes, run.export, size)
            metrics |= {
                "weights": training.export_weights,
                "weights_step": step,
                "steps": steps,
                "training_seconds": training_seconds,
                "files_left_out": {name: len(split.left_out) for name, split in splits.items()},
                "untrained_classes": list(splits["train"].absent_classes),
                "seed": training.seed,
                "seconds": spent().seconds,
            }
            write_json(run.metrics_file, metrics)  # the run has ended: what comes after is optional
            screens.last(run, metrics)
        wait_for_all(cluster, strategy)
        if chief:
            add_formats(run, config, classes, splits["train"])
    return metrics
