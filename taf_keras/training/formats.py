"""The optional formats of a run's export: added at its end, or by the same command later."""

from __future__ import annotations

from dataclasses import replace

from taf_keras.clips.clip import ClassTable, Split
from taf_keras.config import Config
from taf_keras.errors import PartlyDone
from taf_keras.evaluation.network import exported_checkpoint, load_network
from taf_keras.inspection.check import load_checked
from taf_keras.models.own_dtype import in_float32
from taf_keras.serving.export import export_formats
from taf_keras.serving.formats import check_formats, missing_formats
from taf_keras.serving.quantised import representative_frames
from taf_keras.storage.run import Run


def add_formats(run: Run, config: Config, classes: ClassTable, train: Split | None = None) -> None:
    """Writes those of `export_formats` that the export lacks.

    Args:
        train: the training clips, for `litert_int8`; None reads them where they are needed.
    Raises: PartlyDone for what failed; UserError for training clips that are not there.
    """
    missing = missing_formats(run.export, config.runtime.export_formats)
    check_formats(missing)
    if not missing:
        return
    _, path = exported_checkpoint(run, config)
    single = replace(config, training=replace(config.training, dtype="float32"))
    if train is None and "litert_int8" in missing:
        train = load_checked(config.data, "train", threads=config.runtime.threads)
    failed = export_formats(
        lambda: in_float32(load_network(single, classes.names, path)),  # a user's layers keep theirs
        run.export,
        missing,
        lambda: representative_frames(train, config.data.image_size),
    )
    for name, reason in failed.items():
        print(f"failed  {name}: {reason}")
    if done := [name for name in missing if name not in failed]:
        print(f"wrote   {', '.join(done)} beside {run.export}")
    if failed:
        raise PartlyDone(
            f"--export_formats={','.join(failed)}: could not be written ({next(iter(failed.values()))}); all "
            "else is there, and the same command tries it again"
        )
