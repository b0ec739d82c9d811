"""Measures clips, finds experiments on clips like them, and says whether and how to begin with TAF.

    python -m taf_keras.advise --dataset=manifest --data_dir=DATA --image_size=96x128
    python -m taf_keras.advise --dataset=camvid --data_dir=CAMVID --rates_from=runs/baseline

Of at most 60 clips of train: optical flow to the neighbours of the key frame, and of each class; how much
colours and classes change over about 1, 5 and 15 frames; how many frames are labelled; and whether val shows
the places of train, from the colours of key frames. The experiments are those of taf_keras/advice/map.csv
(docs/results.md). What is advised has its reason, and how sure it is.
Exit code: 0, or 2 for clips that cannot be used.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from taf_keras import command
from taf_keras.advice.nearest import nearest_cells, read_map
from taf_keras.advice.places import NEW, SAME
from taf_keras.advice.recommend import recommend
from taf_keras.advice.survey import Survey, survey
from taf_keras.advice.text import text, values
from taf_keras.config import TEMPORAL_CONTEXT, DataConfig, ModelConfig, TAFConfig, usable_cores
from taf_keras.datasets.load import class_table
from taf_keras.datasets.options import add_data_options, data_config
from taf_keras.errors import require, require_one_of
from taf_keras.files import write_json, writes
from taf_keras.settings import text_of
from taf_keras.storage.run import Run
from taf_keras.training.resolve import check_trained

_SETTINGS = (
    *("dataset", "data_dir", "subset", "label_fraction", "image_size", "temporal_context", "subset_seed"),
    *("on_bad_file", "allow_outside_files"),
)
_PLACES = ("auto", SAME, NEW)


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> None:
    options = _options().parse_args(arguments)
    _check(options)
    data = data_config(options)
    if options.rates_from:
        _check_baseline(options.rates_from, data)
    found = survey(data, usable_cores())
    if options.places != "auto":
        places = replace(found.places, verdict=options.places, reason="as --places says")
        found = replace(found, places=places)
    rates = _measured_rates(found, options.rates_from) if options.rates_from else None
    motion = found.motion
    cells = nearest_cells(read_map(), motion.share_per_frame, motion.light_5, found.places.verdict)
    if motion.doubt:
        cells = cells.head(0)  # nothing is near to what was not measured
    flags = _data_flags(data) + _model_flag(options.rates_from)
    advice = recommend(found, cells, flags, options.rates_from)
    print(f"\n{text(found, cells, advice, rates)}", flush=True)
    if options.json:
        with writes(options.json):
            write_json(options.json, values(found, cells, advice, rates))


def _options() -> command.Options:
    options = command.Options("taf_keras.advise", __doc__)
    reach = {
        "default": TEMPORAL_CONTEXT,
        "help": "frames up to so far from a key frame are looked at, and may be advised (%(default)s)",
    }
    add_data_options(options, *_SETTINGS, temporal_context=reach)
    add = options.add_argument
    add("--places", default="auto", help="what val shows, if you know it: same or new places (%(default)s)")
    add(
        "--rates_from", metavar="RUN", help="folder of a trained baseline, on which change rates are measured"
    )
    add("--json", type=Path, metavar="FILE", help="write the figures and the advice to this file, too")
    return options


def _check(options: Namespace) -> None:
    """Raises: UserError for what cannot be, before anything is measured."""
    require_one_of("places", options.places, _PLACES)
    require(
        options.temporal_context >= 1, f"--temporal_context={options.temporal_context}: must be 1 or more"
    )
    if options.json is not None:
        require(not options.json.is_dir(), f"--json={options.json}: is a folder")
        require(options.json.parent.is_dir(), f"--json={options.json}: {options.json.parent} is no folder")


def _check_baseline(folder: str, data: DataConfig) -> None:
    """Raises: UserError for a run that train.py would not take as `--rates_from`."""
    check_trained("rates_from", folder, data, class_table(data).names)
    run, flag = Run(folder), f"--rates_from={folder}"
    require(not run.config.model.is_own, f"{flag}: is a model of your own, whose rates are not measured")
    require(any(run.checkpoints.glob("step-*")), f"{flag}: holds no checkpoint")


def _measured_rates(found: Survey, folder: str) -> dict[str, float]:
    """{branch: its change rate} of a baseline on these clips, as --change_rates=auto would have them."""
    from taf_keras.training.measure_rates import rates_on  # TensorFlow takes seconds to import

    run = Run(folder).config
    data = {name: getattr(found.data, name) for name in _SETTINGS}
    size = found.data.image_size or run.data.image_size
    data = replace(
        run.data, **data | {"image_size": size, "crop_size": None, "partner": "neighbour", "cutmix": False}
    )
    taf = TAFConfig(change_rates="auto", rates_from=folder)
    pairs = replace(run.training, batch_size=16, gradient_accumulation_steps=1)
    config = replace(run, data=data, taf=taf, training=pairs)
    return dict(zip(config.branches, rates_on(found.train, config), strict=True))


def _data_flags(data: DataConfig) -> list[str]:
    """The flags that name the clips, those at their defaults left out but for the data set."""
    flags = [f"--dataset={data.dataset}"]
    for name in _SETTINGS[1:]:
        value, own = getattr(data, name), DataConfig.SETTINGS[name]
        if value != own.default and name != "temporal_context":
            flags.append(f"--{own.flag}" if value is True else f"--{own.flag}={text_of(value)}")
    return flags


def _model_flag(rates_from: str | None) -> list[str]:
    """The flag of the baseline's model where it is not the default: rates are those of its branches."""
    model = Run(rates_from).config.model.model if rates_from else ModelConfig.model
    return [f"--model={model}"] if model != ModelConfig.model else []


if __name__ == "__main__":
    main()
