"""The house is as docs/design.md shows it, and a stranger can read what is where."""

import ast
import re
from html import unescape
from pathlib import Path

import pytest

from docs.command_line import commands
from docs.floors import LIBRARY, PICTURE, floors, svg

FILES = sorted(LIBRARY.rglob("*.py"))
LONGEST = 250  # lines of a file that can be read in one sitting


def lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def test_the_picture_is_that_of_the_code():
    assert PICTURE.read_text(encoding="utf-8") == svg(floors()), "python -m docs.floors draws it again"


def test_the_picture_has_every_command_and_every_file_beside_the_folders():
    texts = re.findall(r"<text [^>]*>(.*?)</text>", PICTURE.read_text(encoding="utf-8"))
    words = set(re.findall(r"[\w.]+", " ".join(texts)))
    top = {name.removeprefix("taf_keras.") for name in commands()}
    assert {"view", "label", "import_labels", "report"} <= top <= words
    assert {path.name for path in LIBRARY.glob("[!_]*.py") if path.stem not in top} <= words


def test_no_text_leaves_its_box():
    """As wide as letters of a wide sans-serif are in the mean, and no lower than the box."""
    picture = unescape(PICTURE.read_text(encoding="utf-8"))
    pattern = r'<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)" height="(\d+)"[^>]*>((?:\n<text .*)+)'
    boxes = re.findall(pattern, picture)
    assert len(boxes) == len(list(LIBRARY.glob("*/__init__.py"))) + 2
    for x, y, wide, high, texts in boxes:
        for left, base, size, text in re.findall(r'x="(.*?)" y="(.*?)" font-size="(\d+)".*?>(.*)<', texts):
            assert float(base) + 4 <= float(y) + float(high), text
            assert float(left) + 0.56 * float(size) * len(text) <= float(x) + float(wide), text


def test_the_picture_has_every_folder_once_and_what_it_needs_below_it():
    built = floors()
    names = [name for floor in built for name in floor]
    assert sorted(names) == sorted(path.parent.name for path in LIBRARY.glob("*/__init__.py"))
    level = {name: number for number, floor in enumerate(built) for name in floor}
    assert level["clips"] < level["datasets"] < level["inspection"] < level["training"]
    assert level["models"] < level["taf"] < level["training"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(LIBRARY).as_posix())
def test_the_first_line_of_a_file_says_what_is_in_it(file):
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    assert len(text.split("\n\n")[0]) > 20, file
    assert lines(file) <= LONGEST or file.name == "config.py", f"{file} has {lines(file)} lines"


def test_no_folder_has_more_than_a_fifth_of_the_code():
    total = sum(map(lines, FILES))
    for folder in LIBRARY.glob("*/__init__.py"):
        assert sum(map(lines, folder.parent.rglob("*.py"))) <= total / 5, folder.parent.name
