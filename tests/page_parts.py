"""What a page of docs/ is made of: tables, fenced blocks and commands."""

import re
import shlex

from absl.flags import FlagValues
from promises import without_blocks

from flags import evaluation, script


def blocks(text: str) -> list[str]:
    """The fenced blocks."""
    return re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def rows(text: str) -> list[list[str]]:
    """The cells of each row of tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {i + shift for i, line in enumerate(lines) if set(line) <= set("| -") for shift in (-1, 0)}
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for i, line in enumerate(lines)
        if i not in heads
    ]


def commands(text: str, program: str) -> list[list[str]]:
    """The arguments of each command of a page that begins with `program`, in blocks and within lines."""
    lines = [line for block in blocks(text) for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(python [^`\n]+)`", without_blocks(text))
    words = [shlex.split(line) for line in lines if line.startswith(f"{program} ") or line == program]
    return [found[len(program.split()) :] for found in words]


def parse_evaluation(arguments: list[str]) -> FlagValues:
    """The flags of evaluate.py. Raises: UserError for what they cannot be."""
    values = FlagValues()
    evaluation.define(values)
    script.parse(values, arguments)
    return values
