"""docs/troubleshooting.md: each message is one that the code can print."""

import ast
import re
from functools import cache

import pytest
from page_parts import rows
from promises import ROOT, text_of

# What the page has for the user's own; the rest of a message must stand in one text of the code.
_OWN = re.compile(r"…|\b(?:FILE|FOLDER|NAME|SIZE|LAYER|N)\b")
_HOLE = "\0"
MESSAGES = [cells for cells in rows(text_of("docs/troubleshooting.md")) if cells[0].startswith("`")]


def fixed_parts(message: str) -> list[str]:
    """Its words, without what is the user's and what another text of the code may have put before it."""
    parts = _OWN.split(message.removeprefix("warning: "))
    return [part for part in (part.strip(" :;,(") for part in parts) if re.search("[a-z]", part)]


def string_of(node: ast.AST) -> str | None:
    """The text of a string of the code, `_HOLE` for what is put in; None for what is no string."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(string_of(value) or _HOLE for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = string_of(node.left), string_of(node.right)
        return None if sides == (None, None) else "".join(side or _HOLE for side in sides)
    return None


@cache
def texts() -> frozenset[str]:
    """All strings of the library and of flags/, but for docstrings."""
    found = set()
    for path in [*(ROOT / "taf_keras").rglob("*.py"), *(ROOT / "flags").glob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found |= {string_of(node) for node in ast.walk(tree) if id(node) not in docstrings}
    return frozenset(found - {None})


def stands_in(parts: list[str], text: str) -> bool:
    """Whether the parts stand in `text`, in this order and none across a hole."""
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def test_the_page_has_messages_with_cause_and_remedy():
    assert len(MESSAGES) >= 25
    for cells in MESSAGES:
        assert len(cells) == 3, cells
        assert all(cells), cells
    assert len({cells[0] for cells in MESSAGES}) == len(MESSAGES)


@pytest.mark.parametrize("message", [cells[0].strip("`") for cells in MESSAGES])
def test_the_code_can_print_it(message):
    parts = fixed_parts(message)
    assert len("".join(parts)) >= 12, f"too few words to look for: {parts}"
    found = any(stands_in(parts, text) for text in texts())
    assert found, f"no text of the code has {parts}: it has changed, and docs/troubleshooting.md has not"


def test_a_changed_message_is_missed():
    """The check itself: one other word, another order, and words of two messages are not found."""
    for wrong in (
        ["this machine has an NVIDIA driver, but TensorFlow sees no TPU"],
        ["training would start", "this machine has an NVIDIA driver"],
    ):
        assert not any(stands_in(wrong, text) for text in texts())
