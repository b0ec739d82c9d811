import re

import numpy as np
import pytest

from taf_keras.clips.clip import Clip, Frame
from taf_keras.errors import UserError
from taf_keras.studies.groups import compiled, groups_of

IMAGE = np.zeros((2, 2, 3), np.uint8)


def clips(*names: str, video: str = "") -> list[Clip]:
    return [Clip(name, (Frame(7, IMAGE),), 7, video) for name in names]


def grouped(pattern: str | None, *names: str) -> list[str]:
    return groups_of(clips(*names), compiled(pattern))


@pytest.mark.parametrize("pattern", [None, ""])
def test_key_frames_of_one_video_are_one_group(pattern):
    several = clips("lake_1_000007", "lake_1_000011", video="lake_1") + clips("lake_2")
    assert groups_of(several, compiled(pattern)) == ["lake_1", "lake_1", "lake_2"]


def test_what_the_first_group_or_the_whole_match_finds_is_the_name():
    assert grouped("^(.+)_", "black_forest_1", "black_forest_2", "lake_1") == ["black_forest"] * 2 + ["lake"]
    assert grouped("^[a-z]+", "aachen_000000", "ulm_000003") == ["aachen", "ulm"]
    assert grouped("(a|b)(c)", "xac", "bc") == ["a", "b"]


def test_it_is_searched_for_in_the_name_of_the_video():
    """The name of a clip has its key frame's number, too."""
    (group,) = groups_of(clips("lake_1_000007", video="lake_1"), compiled("_(.+)"))
    assert group == "1"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "is no regular expression: missing ), unterminated subpattern at position 0"),
        ("^x", "finds nothing in clip lake_1 (3 of 3 are so): must find the group in the name of each"),
        ("^[a-z]+_", "finds nothing in clip 7 (1 of 3 are so)"),
        ("x*", "finds nothing in clip lake_1"),
        ("(x)?lake", "finds nothing in clip lake_1"),
    ],
)
def test_what_finds_no_group_is_refused(pattern, words):
    with pytest.raises(UserError, match=re.escape(f"--group_by={pattern}: {words}")) as refused:
        grouped(pattern, "lake_1", "7", "lake_2")
    assert "\n" not in str(refused.value)
