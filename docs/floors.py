"""The picture of the house in docs/design.md: `python -m docs.floors` writes docs/floors.svg.

Each folder of the library stands one floor above the highest that it imports from; its sentence is the first
line of its own `__init__.py`.
"""

from __future__ import annotations

import ast
import textwrap
from html import escape
from pathlib import Path

from docs.command_line import commands
from taf_keras import command

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "taf_keras"
PICTURE = ROOT / "docs" / "floors.svg"
_BOX, _GAP, _TALL = 232, 12, 74  # px


def imports(file: Path) -> set[str]:
    """The parts of the library that a file imports: 'clips', 'config', …"""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("taf_keras.")}


def floors() -> list[dict[str, str]]:
    """{folder: its sentence} of each floor, from the ground up."""
    folders = {path.parent.name: path for path in sorted(LIBRARY.glob("*/__init__.py"))}
    needs = {}
    for name, path in folders.items():
        # Earlier names of commands look up to where these are now.
        files = [f for f in path.parent.glob("*.py") if "before version" not in f.read_text(encoding="utf-8")]
        needs[name] = set().union(*map(imports, files)) & folders.keys() - {name}
    built: list[dict[str, str]] = []
    while needs:
        done = {name for floor in built for name in floor}
        ready = [name for name, below in needs.items() if below <= done]
        assert ready, f"these import one another: {', '.join(needs)}"
        built.append({name: ast.get_docstring(ast.parse(folders[name].read_text())) for name in ready})
        for name in ready:
            del needs[name]
    return built


def svg(built: list[dict[str, str]]) -> str:
    """The floors as boxes, the ground at the bottom and the commands on top."""
    above = [name.removeprefix("taf_keras.") for name in commands()]
    below = {path.stem for path in LIBRARY.glob("[!_]*.py")} - set(above)
    top = f"train.py, evaluate.py, flags/; {', '.join(above)}"
    ground = ", ".join(f"{name}.py" for name in sorted(below))
    width = max(map(len, built)) * (_BOX + _GAP) + _GAP
    height = (len(built) + 2) * (_TALL + _GAP) + _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]

    def write(x: float, y: float, text: str, style: str) -> None:
        parts.append(f'<text x="{x + 10:g}" y="{y:g}" {style}>{escape(text)}</text>')

    def box(x: float, y: float, wide: float, name: str, sentence: str, fill: str) -> None:
        place = f'x="{x:g}" y="{y:g}" width="{wide:g}" height="{_TALL}"'
        parts.append(f'<rect {place} rx="6" fill="{fill}" stroke="#0072B2"/>')
        write(x, y + 20, name, 'font-size="14" font-weight="bold"')
        for i, line in enumerate(textwrap.wrap(sentence, int((wide - 20) / 6.2))):
            write(x, y + 37 + 14 * i, line, 'font-size="11" fill="#333333"')

    for level, floor in enumerate([{"commands": top}, *reversed(built), {"ground": ground}]):
        wide = (width - _GAP) / len(floor) - _GAP
        fill = "#e9f3fa" if level in (0, len(built) + 1) else "#f7fafc"
        for i, (name, sentence) in enumerate(floor.items()):
            x = _GAP + i * (wide + _GAP)
            box(x, _GAP + level * (_TALL + _GAP), wide, name, sentence.splitlines()[0], fill)
    return "\n".join([*parts, "</svg>"]) + "\n"


def main(arguments: list[str] | None = None) -> None:
    def write() -> None:
        command.Options("docs.floors", __doc__).parse_args(arguments)
        PICTURE.write_text(svg(floors()), encoding="utf-8")

    command.run(write)


if __name__ == "__main__":
    main()
