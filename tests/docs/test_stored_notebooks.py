"""The notebooks of docs/ as they lie there: executed, small, without traces of where that was."""

import base64
import json
import re

import pytest
from absl import flags as absl_flags

from docs.notebooks import DOCS, NAMES
from flags import CONFIG_MODULES

LARGEST_BYTES = 400_000  # of a notebook
LARGEST_PICTURE_BYTES = 60_000
NOTEBOOKS = {name: json.loads((DOCS / f"{name}.ipynb").read_text(encoding="utf-8")) for name in NAMES}

every_notebook = pytest.mark.parametrize("name", NAMES)


def cells(name: str, kind: str) -> list[dict]:
    return [cell for cell in NOTEBOOKS[name]["cells"] if cell["cell_type"] == kind]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def outputs(name: str) -> list[dict]:
    return [output for cell in cells(name, "code") for output in cell["outputs"]]


def pictures(name: str) -> list[bytes]:
    found = []
    for output in outputs(name):
        for kind, data in output.get("data", {}).items():
            if kind.startswith("image/"):
                found.append(base64.b64decode("".join(data)))
    return found


def test_each_notebook_of_the_folder_is_known():
    assert sorted(path.stem for path in DOCS.glob("*.ipynb")) == sorted(NAMES)


@every_notebook
def test_it_is_a_notebook(name):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is in requirements-docs.txt")
    nbformat.validate(nbformat.from_dict(NOTEBOOKS[name]))


@every_notebook
def test_it_is_small_and_has_pictures(name):
    assert (DOCS / f"{name}.ipynb").stat().st_size < LARGEST_BYTES
    assert len(pictures(name)) >= 2
    assert max(map(len, pictures(name))) < LARGEST_PICTURE_BYTES


@every_notebook
def test_every_cell_compiles_and_was_executed_in_order(name):
    code = cells(name, "code")
    for cell in code:
        compile(source(cell), f"{name}.ipynb", "exec")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


@every_notebook
def test_its_outputs_have_no_errors_warnings_paths_or_times(name):
    for output in outputs(name):
        assert output["output_type"] in ("stream", "display_data", "execute_result")
        assert output.get("name") != "stderr", output["text"]
        texts = [output.get("text", "")] + [
            text for kind, text in output.get("data", {}).items() if kind.startswith("text/")
        ]
        for text in map("".join, texts):
            assert not re.search(r"(?<![\w.<])/(?:[\w.-]+/)+", text), f"an absolute path in: {text}"
            assert not re.search(r"warning|20\d\d-\d\d-\d\d", text, re.IGNORECASE), text


@every_notebook
def test_its_metadata_is_no_more_than_is_needed(name):
    assert set(NOTEBOOKS[name]["metadata"]) == {"kernelspec"}
    assert all(cell["metadata"] == {} for cell in NOTEBOOKS[name]["cells"])


@every_notebook
def test_its_links_resolve_and_its_flags_exist(name):
    values = absl_flags.FlagValues()
    for module in CONFIG_MODULES:
        module.define(values)
    text = "\n".join(map(source, cells(name, "markdown")))
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links
    assert [link for link in links if not (DOCS / link).is_file()] == []
    assert [flag for flag in re.findall(r"(?<![\w-])--([a-z]\w*)", text) if flag not in values] == []
