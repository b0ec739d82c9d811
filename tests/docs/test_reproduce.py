"""docs/reproduce.md has the recipes, rows, costs and commands of the code, and figures of docs/results.md."""

import re

import pytest
from page_parts import commands, parse_evaluation, rows
from promises import section, text_of, under

from taf_keras import sweep, table1
from taf_keras.clips.clip import ClassTable, Clip, Frame, Split
from taf_keras.clips.subset import keep_clips
from taf_keras.command_line import RECIPES, parse_config
from taf_keras.experiments import gpu_hours
from taf_keras.experiments.paper_table import read_rows
from taf_keras.experiments.presets import SWEEPS
from taf_keras.studies.run import STUDIES

PAGE = text_of("docs/reproduce.md")
ROWS = {number: cells for number, *cells in rows(section(PAGE, "Tables 1 and 2"))}
SEEDS = {"two": 2, "three": 3, "five": 5, "eight": 8}
PAPER = {dataset: read_rows(RECIPES, dataset) for dataset in ("camvid", "cityscapes")}


def test_every_recipe_is_named():
    missing = [path.stem for path in RECIPES.glob("*.flags") if f"`{path.stem}`" not in PAGE]
    assert not missing


def test_every_row_of_the_paper_stands_with_its_recipe_and_its_figures():
    assert list(ROWS) == [str(row.number) for row in PAPER["camvid"] + PAPER["cityscapes"]]
    for row in PAPER["camvid"] + PAPER["cityscapes"]:
        network, taf, recipe, figures, _ = ROWS[str(row.number)]
        assert recipe == f"`{row.recipe}`"
        assert figures == f"{row.miou}, {row.pixel_accuracy}"
        for part in network.split(", "):
            assert part in row.title
        assert (taf == "yes") == row.title.endswith("with TAF")


@pytest.mark.parametrize(
    ("dataset", "numbers"),
    [
        ("camvid", "3,4"),  # the quick ones: an estimate builds the network
        pytest.param("camvid", "1,2,3,4,5,6", marks=pytest.mark.end_to_end),
        pytest.param("cityscapes", "7,8,9,10,11,12,13,14", marks=pytest.mark.end_to_end),
    ],
)
def test_the_hours_are_those_that_a_dry_run_prints(dataset, numbers, capsys):
    options = [f"--dataset={dataset}", "--data_dir=DATA", "--output_dir=runs", f"--rows={numbers}"]
    table1.main([*options, "--dry_run"])
    pattern = r"^ *([\d.]+) GPU hours .*recipes/(\w+)\.flags"
    printed = re.findall(pattern, capsys.readouterr().out, re.MULTILINE)
    chosen = [ROWS[number] for number in numbers.split(",")]
    assert [(cells[-1], cells[2].strip("`")) for cells in chosen] == printed


def test_the_hours_are_those_of_the_results():
    hours = [cells[-1] for cells in ROWS.values()]
    listed = rows(section(text_of("docs/results.md"), "Table 1"))
    assert [value for _, *pair in listed for value in pair] == hours


def test_the_clips_of_the_subsets_are_counted_right():
    stated = re.search(r"CS-0.2 is (\d+) clips, CS-0.5 is (\d+) of (\d+)", PAGE)
    total = int(stated[3])
    frame = Frame(0, "image.png", "label.png")
    clips = tuple(Clip(f"clip_{i}", (frame,), 0) for i in range(total))
    split = Split("train", clips, ClassTable(("road",), ((0, 0, 0),)))
    assert total == gpu_hours.TRAINING_CLIPS["cityscapes"]
    for share, count in ((0.2, stated[1]), (0.5, stated[2])):
        assert len(keep_clips(split, share).clips) == int(count)
    assert keep_clips.__name__ in PAGE


def test_the_commands_of_trainings_parse():
    found = commands(PAGE, "python train.py")
    assert found
    for arguments in found:
        parse_config(arguments)


@pytest.fixture
def planned(monkeypatch) -> list:
    """The runs that a command would have trained."""
    jobs = []
    for module in (sweep, table1):
        monkeypatch.setattr(module, "train_all", lambda planned, *_: jobs.extend(planned) or [])
    monkeypatch.setattr(sweep, "write_results", lambda *_: None)
    monkeypatch.setattr(table1, "markdown", lambda _: "")
    return jobs


def test_the_commands_of_sweeps_parse_and_have_every_study(planned):
    found = commands(PAGE, "python -m taf_keras.sweep")
    for arguments in found:
        before = len(planned)
        sweep.main(arguments)
        assert len(planned) > before
    named = {
        word.removeprefix("--study=") for words in found for word in words if word.startswith("--study=")
    }
    assert named == set(SWEEPS)


def test_the_commands_of_the_table_parse(planned, tmp_path):
    found = commands(PAGE, "python -m taf_keras.table1")
    assert len(found) == 2
    for arguments in found:
        where = [f"--output_dir={tmp_path}" if "--output_dir" in word else word for word in arguments]
        table1.main(where)
    assert len(planned) == 6 * 3 + 2  # rows of CamVid by three seeds, and two of Cityscapes


def test_the_commands_of_evaluations_parse_and_have_every_study():
    found = [parse_evaluation(arguments) for arguments in commands(PAGE, "python evaluate.py")]
    assert {values["study"].value for values in found} == set(STUDIES) | {None}


def test_what_came_out_are_figures_of_the_results():
    """Each in TAF's row of the section that is linked, with as many seeds."""
    stated = 0
    for _, data, what in rows(section(PAGE, "What has been repeated here")):
        for gain in re.findall(r"[+−-]?\d+\.\d+ ± \d+\.\d+", what):
            anchor, seeds = re.search(r"\(results\.md#([\w-]+)\), (\w+) seeds", data).groups()
            row = rf"^\| taf \| {SEEDS[seeds]} \| [^|]+ \| {re.escape(gain)} \|"
            assert re.search(row, under("docs/results.md", anchor), re.MULTILINE), (data, gain)
            stated += 1
    assert stated >= 3
