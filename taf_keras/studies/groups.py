"""Clips that belong together: they show one video, or one place, and so are no independent examples."""

from __future__ import annotations

import re
from collections.abc import Sequence

from taf_keras.clips.clip import Clip
from taf_keras.errors import UserError


def compiled(pattern: str | None) -> re.Pattern | None:
    """The regular expression of --group_by; None for none. Raises: UserError for what is no such thing."""
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise UserError(f"--group_by={pattern}: is no regular expression: {error}") from None


def groups_of(clips: Sequence[Clip], expression: re.Pattern | None) -> list[str]:
    """The name of each clip's group: that of its video, or what `expression` finds in it.

    What its first group finds counts, or where it has none the whole match.

    Raises: UserError for a video in whose name nothing is found.
    """
    videos = dict.fromkeys(clip.source_video for clip in clips)
    found = {name: _found(expression, name) if expression else name for name in videos}
    without = [name for name, group in found.items() if not group]
    if without:
        raise UserError(
            f"--group_by={expression.pattern}: finds nothing in clip {without[0]} ({len(without)} of "
            f"{len(videos)} are so): must find the group in the name of each"
        )
    return [found[clip.source_video] for clip in clips]


def _found(expression: re.Pattern, name: str) -> str | None:
    match = expression.search(name)
    return match and match[min(1, expression.groups)]
