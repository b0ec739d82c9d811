"""The pictures of docs/monitoring.md: TensorBoard, the report and a run's frames, as a browser shows them.

    pip install playwright
    python -m docs.browser_pictures runs/game

Of the sweep in this folder, seed 0 of the arms --arms is shown, and frames of the last of them. A Chromium is
needed: `playwright install chromium` brings one; --browser is the path of another.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from taf_keras import command, view
from taf_keras.errors import UserError, first_line, require
from taf_keras.report import __main__ as report

FOLDER = Path(__file__).parent / "monitoring"
WINDOW = {"width": 1280, "height": 860}  # px
MOST_BYTES = 150_000
_CURVES = "epoch_(cross_entropy|taf|delta/(conv1x1|image_pool)|over_slack/(conv1x1|image_pool))$"


def take(sweep: Path, arms: Sequence[str], browser: str | None) -> list[Path]:
    """Writes tensorboard.png, report.png and view.jpg to FOLDER.

    Raises: UserError for arms without a finished run, and without playwright or a browser.
    """
    runs = {arm: sweep / arm / "seed-0" for arm in arms}
    for run in runs.values():
        require((run / "metrics.json").is_file(), f"{run}: holds no finished run")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise UserError("docs.browser_pictures: needs `pip install playwright`") from None
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as play:
        try:
            chromium = play.chromium.launch(executable_path=browser)
        except Error as error:
            raise UserError(f"--browser={browser}: does not start: {first_line(error)}") from None
        with contextlib.chdir(scratch):  # pages show where runs lie
            for arm, run in runs.items():
                shutil.copytree(run, arm, ignore=shutil.ignore_patterns("export", "studies"))
            with contextlib.redirect_stdout(io.StringIO()):
                report.main([*arms, "--output=report.html"])
                view.main([arms[-1], "--output_dir=view", "--max_clips=3"])
            page = chromium.new_page(viewport=WINDOW, color_scheme="light")
            page.set_default_timeout(300_000)
            # Without SVG, charts are drawn by the GPU, which a browser without a window has not.
            page.goto(f"{_tensorboard()}?tagFilter={_CURVES}&smoothing=0&forceSVG=true#timeseries")
            page.wait_for_load_state("networkidle")
            page.get_by_text("Enable step selection").click()
            page.get_by_label("Close side pane").click()
            page.wait_for_timeout(5000)  # charts are drawn after the last request
            page.screenshot(path=FOLDER / "tensorboard.png")
            page.goto(Path("report.html").absolute().as_uri())
            page.screenshot(path=FOLDER / "report.png")
            page.goto(Path("view", "index.html").absolute().as_uri())
            page.wait_for_load_state("networkidle")
            page.screenshot(path=FOLDER / "view.jpg", type="jpeg", quality=80)
            chromium.close()
    return sorted(FOLDER.iterdir())


def _tensorboard() -> str:
    """The address of a TensorBoard of this folder; it is a thread of this process."""
    from tensorboard import program

    server = program.TensorBoard()
    server.configure(argv=["tensorboard", "--logdir=.", "--port=0", "--load_fast=false"])
    return server.launch()


def main(arguments: list[str] | None = None) -> None:
    def write() -> None:
        options = command.Options("docs.browser_pictures", __doc__)
        options.add_argument("sweep", metavar="SWEEP", type=Path, help="the folder of a sweep")
        options.add_argument("--arms", default="baseline,taf", help="a comma list (%(default)s)")
        options.add_argument("--browser", help="path of a Chromium (playwright's own)")
        given = options.parse_args(arguments)
        for picture in take(given.sweep.absolute(), given.arms.split(","), given.browser):
            print(f"wrote {picture}: {picture.stat().st_size} bytes")

    command.run(write)


if __name__ == "__main__":
    main()
