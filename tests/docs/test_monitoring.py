"""docs/monitoring.md names what a run writes, and every curve of TensorBoard; its pictures are small."""

import re
from pathlib import Path

import cv2
import pytest
from conftest import tiny_config
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from docs import browser_pictures
from taf_keras.datasets.load import class_table
from taf_keras.training.run import train

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]
PICTURES = sorted(browser_pictures.FOLDER.iterdir())


def first_cells(pattern: str) -> set[str]:
    """The names in backticks that begin a table's row, of those that match the pattern."""
    names = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    return {name for name in names if re.match(pattern, name)}


def tags(folder: Path, config, kind: str) -> set[str]:
    """Those of all event files below the folder, with BRANCH and CLASS in place of their names."""
    found = set()
    for events in folder.rglob("events.out.tfevents.*"):
        accumulator = EventAccumulator(str(events), {"tensors": 0})
        accumulator.Reload()
        for tag in accumulator.Tags()["tensors"]:
            if accumulator.SummaryMetadata(tag).plugin_data.plugin_name == kind:
                found.add(tag)
    for word, names in (("BRANCH", config.branches), ("CLASS", class_table(config.data).names)):
        found = {re.sub(rf"(?<=/)({'|'.join(map(re.escape, names))})(?=$|_vs_)", word, tag) for tag in found}
    return found


def test_the_table_has_the_curves_of_a_run_and_no_others(finished_run, tmp_path, small_backbone, untraced):
    config = finished_run[0]
    found = tags(Path(config.runtime.model_dir, "tensorboard"), config, "scalars")
    other = tiny_config(
        tmp_path,
        taf={"method": "mean_teacher", "weight": 1.0},
        training={"epochs": 1},
        runtime={"validations": 0},
    )
    train(other)
    found |= tags(Path(other.runtime.model_dir, "tensorboard"), other, "scalars")
    assert found == first_cells("(batch|epoch|evaluation)_")


def test_a_baseline_has_the_curves_that_the_page_says(tmp_path, small_backbone, untraced):
    config = tiny_config(
        tmp_path, taf={"method": "baseline"}, training={"epochs": 1}, runtime={"validations": 1}
    )
    train(config)
    found = tags(tmp_path / "run" / "tensorboard", config, "scalars")
    kinds = ("delta", "over_slack", "changed_by_mean")
    without = {name for name in first_cells("(batch|epoch|evaluation)_") if not any(k in name for k in kinds)}
    assert found == {name for name in without if "partner" not in name}
    (pictures,) = {tag.split("/")[0] for tag in tags(tmp_path / "run" / "tensorboard", config, "images")}
    assert f"`{pictures}`" in PAGE


def test_the_other_table_has_what_a_run_writes(finished_run):
    run = Path(finished_run[0].runtime.model_dir)
    written = {path.name + "/" * path.is_dir() for path in run.iterdir() if path.name[0] != "."}
    assert written == first_cells(r"[\w.]+(/|\.json|\.csv)$")


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_pictures_can_be_looked_at_and_are_on_the_page(picture):
    assert picture.stat().st_size < browser_pictures.MOST_BYTES
    height, width = cv2.imread(str(picture)).shape[:2]
    assert {"width": width, "height": height} == browser_pictures.WINDOW
    assert f"](monitoring/{picture.name})" in PAGE


def test_the_page_has_the_command_of_its_pictures():
    assert len(PICTURES) == 3
    assert "python -m docs.browser_pictures runs/game\n" in PAGE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: the following arguments are required: SWEEP (--help lists all options)\n"),
        (["{runs}", "--arms=x"], "error: {runs}/x/seed-0: holds no finished run\n"),
    ],
)
def test_pictures_that_cannot_be_taken_are_refused(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        browser_pictures.main([word.format(runs=tmp_path) for word in arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err == message.format(runs=tmp_path)
