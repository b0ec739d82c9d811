"""Trains several arms over several seeds and compares them: mean ± standard error, paired by seed.

    python -m taf_keras.sweep --output_dir=runs/gain --seeds=0,1,2,3,4 --jobs=2 \\
        --arm "baseline: --method=baseline --batch_size=8" --arm "taf: --method=taf" -- --epochs=100
    python -m taf_keras.sweep --output_dir=runs/grid --vary taf_weight=1,3,6 --vary drift=0,1
    python -m taf_keras.sweep --output_dir=runs/fig2 --study=change_rate -- --scene_seed=2

An arm is NAME: FLAGS of train.py; flags behind `--` go to every arm, and an arm's own win over them. {seed}
in a flag is the run's seed: --arm "pseudo: --method=pseudo --teacher=runs/gain/baseline/seed-{seed}".
Such a run starts when the one that it needs has ended.
--vary adds one arm for each value of a flag and, given again, for each combination with its values. --study
is one of the paper's; they are described below.

Runs lie in output_dir/NAME/seed-N. The same command again repeats no run that has ended, and goes on with
those that were interrupted; a run that fails stops no other. output_dir has runs.csv, results.csv (in
percent; differences are to the reference arm), miou.png, and tensorboard/ with HParams.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from taf_keras.errors import UserError
from taf_keras.experiments.arms import check_arms, check_flags, grid, parse_arm, parse_varied
from taf_keras.experiments.comparison import compare, markdown
from taf_keras.experiments.execute import interruptible, train_all
from taf_keras.experiments.presets import STUDIES, Study
from taf_keras.experiments.runs import TRAIN, Job, collect, parse_seeds, plan, read_configs, split_arguments


def build_study(
    arms: Sequence[str],
    varied: Sequence[str],
    study: str | None,
    reference: str | None,
    common: Sequence[str],
) -> Study:
    """The study that the options of the command describe.

    Args: texts as on the command line, see this module's; `common` are the flags of every arm.
    Raises: UserError for what is not allowed.
    """
    own = [parse_arm(text) for text in arms]
    if study and varied:
        raise UserError("--study and --vary: allowed is one of the two")
    if study:
        (config,) = read_configs([common])
        if isinstance(config, UserError):
            raise config
        preset = STUDIES[study](config)
        axes, own, default = preset.axes, [*own, *preset.arms], preset.reference
    else:
        flags = dict(map(parse_varied, varied))
        if len(flags) < len(varied):
            raise UserError("--vary: each flag once")
        axes, own = tuple(flags), [*own, *(grid(flags) if flags else [])]
        default = own[0].name if own else ""
    if not own:
        raise UserError("give --arm, --vary or --study: there is nothing to train")
    check_arms(own)
    check_flags("behind --", common)
    reference = reference or default
    if reference not in {arm.name for arm in own}:
        raise UserError(f"--reference={reference}: allowed are {', '.join(arm.name for arm in own)}")
    return Study(axes, tuple(own), reference)


def write_results(runs: Sequence[Job], study: Study, folder: Path) -> None:
    """Prints the comparison of the runs that have ended; writes it, its chart and its TensorBoard logs."""
    results = collect(runs)
    if results.empty:
        return
    # TensorFlow, for TensorBoard's logs, takes seconds to import: not before the flags are checked.
    from taf_keras.experiments.arms_chart import draw_arms
    from taf_keras.experiments.hparams import log_hparams

    table = compare(results, study.reference)
    results.to_csv(folder / "runs.csv", index=False)
    table.to_csv(folder / "results.csv", index=False)
    tensorboard = folder / "tensorboard"
    log_hparams(runs, tensorboard)
    draw_arms(table, study.arms, study.axes, folder / "miou.png", tensorboard)
    print(markdown(table, study.reference))
    print(f"wrote   runs.csv, results.csv and miou.png in {folder}; tensorboard --logdir={tensorboard}")


def main(arguments: list[str] | None = None, train: Sequence[str] = TRAIN) -> None:
    own, common = split_arguments(arguments)
    studies = (f"  {name:22}{study.__doc__.splitlines()[0]}" for name, study in STUDIES.items())
    parser = argparse.ArgumentParser(
        prog="python -m taf_keras.sweep",
        description=__doc__,
        epilog="\n".join(["studies, each with the baseline:", *studies]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output_dir", required=True, type=Path, help="folder of all runs")
    parser.add_argument("--arm", action="append", default=[], help="NAME: FLAGS; repeat it for each arm")
    parser.add_argument(
        "--vary", action="append", default=[], help="FLAG=A,B,… (FLAG=A;B;… if values hold commas)"
    )
    parser.add_argument("--study", choices=STUDIES, metavar="NAME", help="one of the studies below")
    parser.add_argument("--reference", help="arm to compare with (a study's baseline, else the first arm)")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="comma list (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (%(default)s)")
    options = parser.parse_args(own)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with interruptible():
            study = build_study(options.arm, options.vary, options.study, options.reference, common)
            runs = plan(study.arms, parse_seeds(options.seeds), options.output_dir, common)
            failed = train_all(runs, options.output_dir, options.jobs, train)
            write_results(runs, study, options.output_dir)
    except UserError as error:
        sys.exit(f"error: {error}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
