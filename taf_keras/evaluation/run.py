"""The evaluation of a run from its folder: what `evaluate.py` calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taf_keras.clips.exported_classes import CLASSES_FILE, load_classes
from taf_keras.datasets.load import class_table, evaluation_split
from taf_keras.devices import out_of_memory, prepare
from taf_keras.errors import UserError
from taf_keras.evaluation.evaluate import (
    describe,
    evaluate_split,
    network_predictor,
    network_probabilities,
    saved_model_predictor,
    saved_model_probabilities,
)
from taf_keras.evaluation.label_ids import label_id_writer
from taf_keras.evaluation.multi_scale import multi_scale_predictor, require_scales
from taf_keras.evaluation.network import load_network, reported_checkpoint
from taf_keras.evaluation.padding import padded
from taf_keras.evaluation.pictures import write_pictures
from taf_keras.files import write_json, writes
from taf_keras.inspection.check import load_checked
from taf_keras.progress import Progress
from taf_keras.settings import text_of
from taf_keras.storage.run import Run
from taf_keras.storage.sameness import require_same_classes


def evaluate(
    model_dir: str,
    split: str | None = None,
    checkpoint: str | None = None,
    saved_model: str | None = None,
    output_dir: str | None = None,
    data_dir: str | None = None,
    eval_batch_size: int | None = None,
    scales: Sequence[float] | None = None,
    flip: bool = False,
    save_label_ids: bool = False,
) -> dict:
    """Evaluates a run, prints and writes its metrics and pictures.

    Frames of a size that the network's strides do not fit are `padded`, as `taf_keras.predict` does.

    Args:
        model_dir: folder of a run.
        split: `train`, `val` or `test`; None is the split of the run's own metrics.json.
        checkpoint: a checkpoint file; None is that of the run's own metrics.json, or the latest.
        saved_model: folder of an exported model to evaluate instead.
        output_dir: None is model_dir/evaluation/<split>; not the folder of a run, which has metrics.json of
            its own.
        data_dir: where the data set lies now, if not where it lay in training.
        eval_batch_size: frames at once; None is that of the run, or as many as fit (`evaluation_batches`).
        scales: sizes at which a frame is segmented, as multiples of its own; see `multi_scale_predictor`.
        flip: whether its mirror image is segmented, too.
        save_label_ids: also write the predictions as label maps to label_ids/ (`label_id_writer`).
    Returns: the metrics (see `evaluate.metrics`), with `scales` and `flip` where one of them is given.
    Raises: UserError for a folder without a run, an output folder with one, a missing split, weights of
        another model, scales that are none, or frames of a size that the network does not take.
    """
    several = flip or scales is not None
    scales = (1.0,) if scales is None else tuple(map(float, scales))
    require_scales(scales)
    run = Run(model_dir)
    config = run.config
    if output_dir:
        _require_no_run(Path(output_dir))
    data = config.data if data_dir is None else replace(config.data, data_dir=data_dir)
    runtime = config.runtime
    if eval_batch_size is not None:
        runtime = replace(runtime, eval_batch_size=eval_batch_size)
    prepare()
    classes = class_table(data)
    if saved_model:
        model = source = saved_model
        if (Path(model) / CLASSES_FILE).is_file():
            require_same_classes(model, load_classes(Path(model)).names, classes.names)
        labels_of, probabilities_of = saved_model_predictor, saved_model_probabilities
    else:
        run.check_classes(classes.names)
        source = Path(checkpoint) if checkpoint else reported_checkpoint(run)
        model = load_network(config, classes.names, source)
        labels_of, probabilities_of = network_predictor, network_probabilities
    if flip or scales != (1.0,):
        probabilities = padded(probabilities_of(model), "give other --scales")
        predict = multi_scale_predictor(probabilities, scales, flip)
    else:
        predict = padded(labels_of(model), "give a split whose frames the network takes")

    clips = load_checked(data, split or evaluation_split(data), threads=runtime.threads)
    folder = Path(output_dir) if output_dir else run.folder / "evaluation" / clips.name
    with writes(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write = label_id_writer(folder / "label_ids", clips, classes) if save_label_ids else None
    remedy = "give a smaller --eval_batch_size" + " or smaller --scales" * several
    with Progress(f"evaluating {clips.name}") as progress, out_of_memory(remedy):
        results, matrices = evaluate_split(
            predict, clips, data.image_size, runtime.threads, progress, runtime.eval_batch_size, write
        )

    results["files_left_out"] = {clips.name: len(clips.left_out)}
    if several:
        results |= {"scales": scales, "flip": flip}
    write_json(folder / "metrics.json", results)
    pictures = write_pictures(folder, predict, clips, matrices, data.image_size)
    print(f"model   {source}")
    if several:
        print(f"scales  {text_of(scales)}{', and of the mirror image' if flip else ''}")
    print(describe(results))
    print(f"wrote   {folder / 'metrics.json'}, {', '.join(path.name for path in pictures)}")
    if save_label_ids:
        print(f"wrote   {folder / 'label_ids'}: {len(matrices)} label maps")
    return results


def _require_no_run(folder: Path) -> None:
    """UserError where a run lies in `folder`: its metrics.json says that it has ended, and how well."""
    with writes(f"--output_dir={folder}"):
        is_run = Run(folder).config_file.is_file()
    if is_run:
        raise UserError(
            f"--output_dir={folder}: holds a run, whose metrics.json would be replaced; choose another folder"
        )
