"""The notebooks of docs/ from the first cell to the last, in an empty folder, with clips made anew."""

import json
import resource

import pytest

from docs.notebooks import DOCS, NAMES, execute

CPU_SECONDS = 2 * 600  # of both together: twice five minutes on two cores, since machines differ by as much


def shown(notebook: dict) -> list[list[tuple]]:
    """For each cell of code the kinds of its outputs."""
    return [
        [(output["output_type"], *sorted(output.get("data", {}))) for output in cell["outputs"]]
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.end_to_end
def test_the_notebooks_run_and_show_what_is_stored(tmp_path):
    for package in ("nbclient", "ipykernel"):
        pytest.importorskip(package, reason=f"{package} is in requirements-docs.txt")
    before = children_seconds()
    for name in NAMES:
        folder = tmp_path / name
        folder.mkdir()
        stored = json.loads((DOCS / f"{name}.ipynb").read_text(encoding="utf-8"))
        assert shown(execute(DOCS / f"{name}.ipynb", folder)) == shown(stored)
    assert children_seconds() - before < CPU_SECONDS
