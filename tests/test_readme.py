"""What README.md says exists: flags, files, links, figures and the two commands."""

import re

import pytest
from page_parts import rows
from promises import (
    broken_links,
    files_of,
    links,
    missing_files,
    programs,
    section,
    text_of,
    unknown_flags,
)

README = text_of("README.md")
MOST_BYTES = 8000

_ENVIRONMENT = "python3 -m venv .venv && . .venv/bin/activate && pip install -r "
COMMANDS = [
    _ENVIRONMENT + "requirements.txt && python train.py",
    _ENVIRONMENT + "requirements-dev.txt && python -m pytest",
]


def test_it_stays_a_front_page():
    assert len(README.encode()) <= MOST_BYTES


def test_every_flag_exists():
    count, wrong = unknown_flags(README)
    assert count > 15
    assert not wrong, "\n".join(["README.md names flags that do not exist:", *wrong])


def test_every_module_that_is_run_exists():
    assert programs(README)
    assert not [program for program in programs(README) if not files_of(program)]


def test_every_link_and_picture_exists():
    assert len(links(README)) > 15
    assert not broken_links("README.md")


def test_every_file_of_the_project_that_it_names_exists():
    assert not missing_files(README)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_two_commands_stand_alone_in_a_line(command):
    assert command in section(README, "Try it").splitlines()


def test_its_figures_are_those_of_the_results():
    """Each in a row of there, beside the same ones, so that swapped cells and new figures are missed here."""
    results = text_of("docs/results.md")
    gains = section(README, "What it gains").replace("**", "")
    table = rows(gains)
    assert len(table) >= 5
    for clips, seeds, baseline, taf, gain, all_labels in table:
        assert f"| {seeds} | {baseline} |" in results, clips
        assert f"| {seeds} | {taf} | {gain} |" in results, clips
        assert not all_labels or f"| {all_labels} |" in results, clips
    stated = re.findall(r"[+−-]?\d+\.\d+ ± \d+\.\d+", gains)
    assert len(stated) >= 15
    assert not [figure for figure in stated if figure not in results]


def test_the_last_screen_names_what_the_code_prints():
    """Each line of words is one that a run's last screen has; figures are those of one run."""
    screens = text_of("taf_keras/training/screens.py") + text_of("taf_keras/evaluation/evaluate.py")
    shown = [
        line
        for block in re.findall(r"^```\n(.*?)^```$", section(README, "Try it"), re.S | re.M)
        for line in block.splitlines()
    ]
    for words in (
        "everything is in ",
        "look at it     ",
        "evaluate it    ",
        "use it         ",
        "IoU per class: ",
    ):
        assert words in screens
        assert any(words in line for line in shown), words
