"""docs/command_line.md is what the settings and the commands say."""

import re
import sys

import pytest

from docs import command_line
from flags import GROUPS, evaluation


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="argparse wraps lines differently in each version"
)
def test_the_page_is_what_its_generator_writes():
    page = command_line.REFERENCE.read_text(encoding="utf-8")
    assert page == command_line.reference(), "run python -m docs.command_line"


def test_every_flag_has_its_row():
    rows = re.findall(r"^\| `--(\w+)` \|", command_line.REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    groups = (*GROUPS.values(), evaluation.Evaluation)
    assert rows == [own.flag for group in groups for own in group.SETTINGS.values()]
