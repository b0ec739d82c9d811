"""Finished runs as one self-contained HTML page: results, classes, learning curves, pictures, settings.

    python -m taf_keras.report --output=report.html runs/gain

Every folder is searched for runs (config.json with metrics.json). Runs whose settings differ in the seed
alone are one arm; arms that were evaluated on the same frames are compared with each other, by seed.
"""

from __future__ import annotations

from pathlib import Path

from taf_keras import command
from taf_keras.errors import require
from taf_keras.report.gather import gather, group


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> None:
    parser = command.Options("taf_keras.report", __doc__)
    parser.add_argument("folders", nargs="+", metavar="DIR", type=Path, help="a run's folder, or one of runs")
    parser.add_argument("--output", default="report.html", type=Path, help="the page (%(default)s)")
    parser.add_argument("--reference", help="arm to compare with (the first with --method=baseline)")
    options = parser.parse_args(arguments)
    require(not options.output.is_dir(), f"--output={options.output}: is a folder; give the name of a file")
    runs, left_out = gather(options.folders)
    experiments, twins = group(runs, options.reference)

    from taf_keras.report.page import write_page  # matplotlib takes a second to import

    for line in write_page(options.output, experiments, options.folders, left_out + twins):
        print(f"left out  {line}")
    size = options.output.stat().st_size / 1e6
    print(f"wrote     {options.output}: {len(runs) - len(twins)} runs, {size:.1f} MB")


if __name__ == "__main__":
    main()
