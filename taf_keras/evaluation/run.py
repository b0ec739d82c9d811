"""The evaluation of a run from its folder: what `evaluate.py` calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from taf_keras.datasets.load import class_table, evaluation_split
from taf_keras.devices import out_of_memory, prepare
from taf_keras.evaluation.evaluate import (
    describe,
    evaluate_split,
    network_predictor,
    saved_model_predictor,
)
from taf_keras.evaluation.network import latest_checkpoint, load_network
from taf_keras.evaluation.pictures import write_pictures
from taf_keras.files import write_json
from taf_keras.inspection.check import load_checked
from taf_keras.progress import Progress
from taf_keras.storage.run import Run


def evaluate(
    model_dir: str,
    split: str | None = None,
    checkpoint: str | None = None,
    saved_model: str | None = None,
    output_dir: str | None = None,
    data_dir: str | None = None,
    eval_batch_size: int | None = None,
) -> dict:
    """Evaluates a run, prints and writes its metrics and pictures.

    Args:
        model_dir: folder of a run.
        split: `train`, `val` or `test`; None is the split of the run's own metrics.json.
        checkpoint: a checkpoint file; None is the latest of the run.
        saved_model: folder of an exported model to evaluate instead.
        output_dir: None is model_dir/evaluation/<split>.
        data_dir: where the data set lies now, if not where it lay in training.
        eval_batch_size: frames at once; None is that of the run, or as many as fit (`evaluation_batches`).
    Returns: the metrics (see `evaluate.metrics`).
    Raises: UserError for a folder without a run, a missing split, or weights of another model.
    """
    run = Run(model_dir)
    config = run.config
    data = config.data if data_dir is None else replace(config.data, data_dir=data_dir)
    runtime = config.runtime
    if eval_batch_size is not None:
        runtime = replace(runtime, eval_batch_size=eval_batch_size)
    prepare()
    if saved_model:
        predict, source = saved_model_predictor(saved_model), saved_model
    else:
        path = Path(checkpoint) if checkpoint else latest_checkpoint(run)
        network = load_network(config, class_table(data).names, path)
        predict, source = network_predictor(network), str(path)

    clips = load_checked(data, split or evaluation_split(data), threads=runtime.threads)
    with Progress(f"evaluating {clips.name}") as progress, out_of_memory("give a smaller --eval_batch_size"):
        results, matrices = evaluate_split(
            predict, clips, data.image_size, runtime.threads, progress, runtime.eval_batch_size
        )

    results["files_left_out"] = {clips.name: len(clips.left_out)}
    folder = Path(output_dir) if output_dir else run.folder / "evaluation" / clips.name
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "metrics.json", results)
    pictures = write_pictures(folder, predict, clips, matrices, data.image_size)
    print(f"model   {source}")
    print(describe(results))
    print(f"wrote   {folder / 'metrics.json'}, {', '.join(path.name for path in pictures)}")
    return results
