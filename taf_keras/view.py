"""Shows a run's predictions on a page: image, truth, prediction and disagreement of key frames.

    python -m taf_keras.view RUN

RUN is a run's folder. Of a run that has ended the exported weights are shown, of one that still trains those
of its last checkpoint. The page is OUTPUT_DIR/index.html, with the folder pictures beside it; a browser opens
it from the disk, without a network. Where a clip has frames around its key frame, a slider goes through them
and shows whether the prediction flickers; truth and disagreement are there on labelled frames alone.

Of a split with more key frames than --max_clips a third of those shown are the worst, a third are around the
median and a third are the best, by pixel accuracy. Figures are of the size at which the run is evaluated;
pictures are made smaller than that where their longer side has more than 640 px.

The page of an earlier call is replaced; a folder that holds anything else is refused.
Exit code: 0 done, 1 frames beside key frames could not be read and are named at the end, 2 nothing could be
done, 130 interrupted.
"""

from __future__ import annotations

from pathlib import Path

from taf_keras import command
from taf_keras.config import SPLITS
from taf_keras.devices import require_tensorflow
from taf_keras.errors import require
from taf_keras.storage.run import Run
from taf_keras.viewer.folder import require_own


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> int:
    options = _options().parse_args(arguments)
    for name in ("frames", "max_clips"):
        value = getattr(options, name)
        require(value >= 1, f"--{name}={value}: must be 1 or more")
    run, folder = Run(options.run), options.output_dir or options.run / "view"
    _check(run, options.data_dir)
    require_own(folder)
    require_tensorflow()
    from taf_keras.viewer.run import view  # TensorFlow takes seconds to import

    split = None if options.split == "auto" else options.split
    unread = view(run, folder, split, options.data_dir, options.frames, options.max_clips)
    return 1 if unread else 0


def _options() -> command.Options:
    options = command.Options("taf_keras.view", __doc__)
    add = options.add_argument
    add("run", metavar="RUN", type=Path, help="the run's folder")
    add(
        "--split",
        choices=(*SPLITS, "auto"),
        default="auto",
        help="auto: that of the run's metrics.json (%(default)s)",
    )
    add(
        "--frames",
        type=int,
        default=7,
        help="shown of a clip, evenly over it, the key frame among them (%(default)s)",
    )
    add("--max_clips", type=int, default=24, help="clips shown, each with its key frame (%(default)s)")
    add("--output_dir", type=Path, help="where the page goes (RUN/view)")
    add("--data_dir", help="where the data set lies now, if not where it lay in training")
    return options


def _check(run: Run, data_dir: str | None) -> None:
    """Raises: UserError for what is missing, without the seconds that TensorFlow takes."""
    require(run.config_file.is_file(), f"{run.folder}: holds no run: {run.config_file.name} is missing")
    require(any(run.checkpoints.glob("step-*")), f"{run.folder}: holds no checkpoint yet")
    data = run.config.data
    place = f"--data_dir={data_dir}: no such folder"
    if data_dir is None:
        place = f"{data.data_dir}: no such folder, where {run.folder} has its data set: give --data_dir"
    here = data.dataset == "synthetic" or Path(data_dir or data.data_dir).is_dir()
    require(here, place)


if __name__ == "__main__":
    main()
