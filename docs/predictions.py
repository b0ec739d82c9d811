"""Predictions of two runs, frame | truth | first run | second run: `python -m docs.predictions` draws them.

    python -m docs.predictions BASELINE TAF --output=docs/predictions.jpg

Three key frames are shown, and none is chosen by hand: the lower quartile, the median and the upper quartile
of the difference in pixel accuracy between the two runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from taf_keras import command
from taf_keras.devices import require_tensorflow
from taf_keras.errors import require

QUANTILES = {"lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75}
_CELL_INCHES = 2.0


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> None:
    parser = command.Options("docs.predictions", __doc__)
    add = parser.add_argument
    add("runs", metavar="RUN", nargs=2, type=Path, help="folders of two runs: a baseline, and TAF")
    add("--names", nargs=2, default=("baseline", "TAF"), help="their headings (%(default)s)")
    add("--split", choices=("train", "val", "test"), help="of the data set (that of the first run's metrics)")
    add("--data_dir", help="where the data set lies now, if not where it lay in training")
    add("--output", default=Path("docs/predictions.jpg"), type=Path, help="(%(default)s)")
    options = parser.parse_args(arguments)
    require(options.output.suffix in (".jpg", ".png"), f"--output={options.output}: must end in .jpg or .png")
    for folder in options.runs:
        require((folder / "config.json").is_file(), f"{folder}: holds no run: config.json is missing")
    require_tensorflow()
    from taf_keras.evaluation.charts import save_chart  # TensorFlow takes seconds to import
    from taf_keras.storage.run import Run

    figure, lines = draw(
        [Run(folder) for folder in options.runs], options.names, options.split, options.data_dir
    )
    save_chart(figure, options.output)
    print("\n".join([*lines, f"wrote {options.output}"]))


def draw(runs, names, split: str | None = None, data_dir: str | None = None):
    """Evaluates both runs on all key frames of the split, and draws three of them.

    Returns: a figure of matplotlib, and a line of text for each frame that is shown.
    """
    from taf_keras.devices import prepare
    from taf_keras.studies.compared import common_data
    from taf_keras.studies.footage import load_footage

    data, split = common_data(runs, split, data_dir)
    prepare()
    footage = load_footage(data, split, intervals=(0,))
    predictions, accuracies = zip(*(predict(run, footage) for run in runs), strict=True)
    shown = chosen(accuracies[1] - accuracies[0])
    cells = {
        position: [
            (predicted[position], accuracy[position])
            for predicted, accuracy in zip(predictions, accuracies, strict=True)
        ]
        for position in shown.values()
    }
    lines = [
        f"{place}: {footage.split.clips[position].name}, "
        + " -> ".join(f"{accuracy:.1%}" for _, accuracy in cells[position])
        for place, position in shown.items()
    ]
    return _figure(footage, shown, cells, names), lines


def predict(run, footage) -> tuple[np.ndarray, np.ndarray]:
    """Train ids (frames, height, width) of the key frames, and their pixel accuracies (frames,) in [0, 1]."""
    from taf_keras.evaluation.evaluate import evaluate_split, network_predictor
    from taf_keras.evaluation.network import load_network, reported_checkpoint

    network = load_network(run.config, footage.split.classes.names, reported_checkpoint(run))
    maps: list[np.ndarray] = []
    _, matrices = evaluate_split(
        network_predictor(network),
        footage.split,
        footage.image_size,
        on_predictions=lambda _, batch: maps.extend(batch.astype(np.uint8)),
    )
    labelled = matrices.sum(axis=(1, 2))
    return np.stack(maps), np.trace(matrices, axis1=1, axis2=2) / np.maximum(labelled, 1)


def chosen(gains: np.ndarray) -> dict[str, int]:
    """{quantile: position of the frame whose gain is nearest to it from below}."""
    order = np.argsort(gains, kind="stable")
    return {name: int(order[int(share * (len(order) - 1))]) for name, share in QUANTILES.items()}


def _figure(footage, shown: dict[str, int], cells: dict, names):
    from taf_keras.evaluation.charts import new_figure
    from taf_keras.evaluation.pictures import class_legend, colourise

    classes, clips = footage.split.classes, footage.split.clips
    frames = [clips[position].key_frame for position in shown.values()]
    images, labels = footage.images(frames), footage.labels(frames)
    height, width = images.shape[1:3]
    size = (4 * _CELL_INCHES + 0.4, len(shown) * (_CELL_INCHES * height / width + 0.25) + 0.6)
    figure, grid = new_figure(len(shown), 4, figsize=size, squeeze=False)
    for axes, title in zip(grid[0], ("frame", "truth", *names), strict=True):
        axes.set_title(title)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for row, image, label, (place, position) in zip(grid, images, labels, shown.items(), strict=True):
        row[0].imshow(image)
        row[0].set_ylabel(place, fontsize=8)
        row[1].imshow(colourise(label, classes))
        for axes, (prediction, accuracy) in zip(row[2:], cells[position], strict=True):
            axes.imshow(colourise(prediction, classes))
            axes.set_xlabel(f"{accuracy:.1%} of pixels right", fontsize=8, labelpad=2)
    figure.legend(handles=class_legend(classes), loc="outside lower center", ncols=10, frameon=False)
    return figure


if __name__ == "__main__":
    main()
