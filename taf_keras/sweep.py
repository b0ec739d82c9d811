"""Trains several arms over several seeds and compares them: mean ± standard error, paired by seed.

    python -m taf_keras.sweep --output_dir=runs/gain --seeds=0,1,2,3,4 --jobs=2 \\
        --arm "baseline: --method=baseline --batch_size=8" --arm "taf: --method=taf" -- --epochs=100
    python -m taf_keras.sweep --output_dir=runs/grid --vary taf_weight=1,3,6 --vary temporal_context=3,15
    python -m taf_keras.sweep --output_dir=runs/fig2 --study=change_rate -- --scene_seed=2

An arm is NAME: FLAGS of train.py; flags after `--` go to every arm, and an arm's own win over them. {seed}
in a flag is the run's seed: --arm "pseudo: --method=pseudo --teacher=runs/gain/baseline/seed-{seed}".
Such a run starts when the one that it needs has ended.
--vary adds one arm for each value of a flag and, given again, for each combination with its values. --study
is one of the paper's; they are described below.

--executor=ray has the runs on the machines of a Ray cluster (docs/distributed.md); --jobs counts over all.

Runs lie in output_dir/NAME/seed-N. The same command again repeats no run that has ended, and goes on with
those that were interrupted; a run that fails stops no other. output_dir has runs.csv, results.csv (in
percent; differences are to the reference arm, of runs that were evaluated on the same frames), miou.png, and
tensorboard/ with HParams.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from taf_keras import command
from taf_keras.command_line import TRAIN, parse_config
from taf_keras.errors import UserError
from taf_keras.experiments.arms import check_arms, check_flags, grid, parse_arm, parse_varied
from taf_keras.experiments.comparison import compare, markdown
from taf_keras.experiments.execute import INTERRUPTED, train_all
from taf_keras.experiments.executors import EXECUTORS, add_executor
from taf_keras.experiments.plan import Job, collect, data_warnings, parse_seeds, plan
from taf_keras.experiments.presets import SWEEPS, Sweep


def build_sweep(
    arms: Sequence[str],
    varied: Sequence[str],
    study: str | None,
    reference: str | None,
    common: Sequence[str],
) -> Sweep:
    """What the options of the command describe.

    Args: texts as on the command line, see this module's; `common` are the flags of every arm.
    Raises: UserError for what is not allowed.
    """
    if study and varied:
        raise UserError("--study and --vary: allowed is one of the two")
    flags = dict(map(parse_varied, varied))
    if len(flags) < len(varied):
        raise UserError("--vary: each flag once")
    own = tuple(map(parse_arm, arms))
    if study:
        preset = SWEEPS[study](parse_config(common))
        sweep = Sweep(preset.axes, own + preset.arms, reference or preset.reference)
    else:
        own += tuple(grid(flags)) if flags else ()
        if not own:
            raise UserError("give --arm, --vary or --study: there is nothing to train")
        sweep = Sweep(tuple(flags), own, reference or own[0].name)
    check_arms(sweep.arms)
    check_flags("after --", common)
    names = [arm.name for arm in sweep.arms]
    if sweep.reference not in names:
        raise UserError(f"--reference={sweep.reference}: allowed are {', '.join(names)}")
    return sweep


def write_results(jobs: Sequence[Job], sweep: Sweep, folder: Path) -> None:
    """Prints the comparison of the runs that have ended; writes it, its chart and its TensorBoard logs."""
    results = collect(jobs)
    if results.empty:
        return
    # TensorFlow, for TensorBoard's logs, takes seconds to import: not before the flags are checked.
    from taf_keras.experiments.arms_chart import plot_arms
    from taf_keras.experiments.hparams import log_hparams

    table = compare(results, sweep.reference)
    results.to_csv(folder / "runs.csv", index=False)
    table.to_csv(folder / "results.csv", index=False)
    tensorboard = folder / "tensorboard"
    log_hparams(jobs, tensorboard)
    plot_arms(table, sweep, folder / "miou.png", tensorboard)
    print(markdown(table, sweep.reference))
    for warning in data_warnings(jobs, results):
        print(warning, file=sys.stderr)
    print(f"wrote   runs.csv, results.csv and miou.png in {folder}; tensorboard --logdir={tensorboard}")


def main(arguments: list[str] | None = None, train: Sequence[str] = TRAIN) -> None:
    command.run(lambda: _main(arguments, train), INTERRUPTED, in_background=True)


def _main(arguments: list[str] | None, train: Sequence[str]) -> int:
    studies = (f"  {name:22}{sweep.__doc__.splitlines()[0]}" for name, sweep in SWEEPS.items())
    epilog = "\n".join(["studies, each with the baseline:", *studies])
    parser = command.Options("taf_keras.sweep", __doc__, epilog=epilog)
    parser.add_argument("--output_dir", required=True, type=Path, help="folder of all runs")
    parser.add_argument("--arm", action="append", default=[], help="NAME: FLAGS; repeat it for each arm")
    parser.add_argument(
        "--vary", action="append", default=[], help="FLAG=A,B,… (FLAG=A;B;… if values hold commas)"
    )
    parser.add_argument("--study", choices=SWEEPS, metavar="NAME", help="one of the studies below")
    parser.add_argument("--reference", help="arm to compare with (a study's baseline, else the first arm)")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="comma list (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (%(default)s)")
    add_executor(parser)
    parser.add_argument("flags", nargs="*", metavar="-- FLAGS", help="of train.py, for every arm")
    given = parser.parse_args(arguments)
    sweep = build_sweep(given.arm, given.vary, given.study, given.reference, given.flags)
    jobs = plan(sweep.arms, parse_seeds(given.seeds), given.output_dir, parse_config, given.flags)
    failed = train_all(jobs, given.output_dir, given.jobs, train, EXECUTORS[given.executor])
    write_results(jobs, sweep, given.output_dir)
    return int(bool(failed))


if __name__ == "__main__":
    main()
