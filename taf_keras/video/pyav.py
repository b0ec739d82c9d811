"""PyAV, which is an optional extra: imported when it is first used, since that takes a moment."""

from __future__ import annotations

INSTALL = "pip install av"


def pyav():
    """The module `av`, or None where it is not installed."""
    try:
        import av
    except ImportError:
        return None
    return av
