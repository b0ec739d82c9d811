"""Table 1 of the paper, repeated: trains its rows by their recipes, and prints them beside the paper's.

    python -m taf_keras.table1 --dataset=camvid --data_dir=CAMVID --output_dir=runs/table1

Rows have the numbers of Table 2: 1 to 6 are CamVid's, 7 to 14 Cityscapes'. Flags of train.py after `--` win
over the recipes. Runs lie in output_dir/RECIPE/seed-N; the same command again repeats none that has ended and
goes on with those that were interrupted. The table is written to table1.csv.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from taf_keras import command
from taf_keras.command_line import RECIPES, TRAIN, parse_config
from taf_keras.experiments.arms import check_flags
from taf_keras.experiments.execute import INTERRUPTED, train_all
from taf_keras.experiments.executors import EXECUTORS, add_executor
from taf_keras.experiments.gpu_hours import SUSTAINED_TFLOPS, TRAINING_CLIPS
from taf_keras.experiments.paper_table import choose, compare_with_paper, describe_cost, markdown, read_rows
from taf_keras.experiments.plan import collect, data_warnings, parse_seeds, plan
from taf_keras.run_flags import TRAIN_SHOWN


def main(arguments: list[str] | None = None, train: Sequence[str] = TRAIN) -> None:
    command.run(lambda: _main(arguments, train), INTERRUPTED, in_background=True)


def _main(arguments: list[str] | None, train: Sequence[str]) -> int:
    parser = command.Options("taf_keras.table1", __doc__)
    parser.add_argument("--dataset", required=True, choices=TRAINING_CLIPS)
    parser.add_argument("--data_dir", required=True, help="folder of the data set")
    parser.add_argument("--output_dir", required=True, type=Path, help="folder of all runs")
    parser.add_argument("--rows", help="comma list of row numbers (all of the data set)")
    parser.add_argument("--seeds", default="0", help="comma list (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (%(default)s)")
    add_executor(parser)
    parser.add_argument(
        "--dry_run", action="store_true", help="print commands and estimated hours; train nothing"
    )
    parser.add_argument(
        "--sustained_tflops",
        type=float,
        default=SUSTAINED_TFLOPS,
        help="of one GPU, for the estimate (%(default).3g, assumed: 30 %% of the peak of a GTX 1080 Ti)",
    )
    parser.add_argument("flags", nargs="*", metavar="-- FLAGS", help="of train.py; they win over the recipes")
    given = parser.parse_args(arguments)

    check_flags("after --", given.flags)
    rows = read_rows(RECIPES, given.dataset)
    chosen = choose(rows, given.rows)
    arms = [row.arm(f"--data_dir={given.data_dir}", *given.flags) for row in chosen]
    jobs = plan(arms, parse_seeds(given.seeds), given.output_dir, parse_config)
    if given.dry_run:
        print(describe_cost(jobs, given.sustained_tflops, TRAIN_SHOWN))
        return 0
    failed = train_all(jobs, given.output_dir, given.jobs, train, EXECUTORS[given.executor])
    results = collect(jobs)
    table = compare_with_paper(chosen, rows, results)
    table.to_csv(given.output_dir / "table1.csv", index=False)
    print(markdown(table))
    for warning in data_warnings(jobs, results):
        print(warning, file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    main()
