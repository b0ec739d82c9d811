"""The last frames of videos."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from test_video import index_of, picture, write_video
from test_write import B_FRAMES, encoded, everything, needs_av

from taf_keras.video import frames as reader
from taf_keras.video.frames import Announced, Damaged, decode, irregularity


def whole_frames(path: Path) -> list[int]:
    """What the frames show that are not damaged."""
    return [index_of(f.image) for f in decode(path, everything) if not isinstance(f, Damaged)]


# --- Times ---


@needs_av
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_last_frames_without_a_time_follow_at_the_rate(tmp_path, codec):
    """In AVI, the frames that a decoder keeps back until the end have none."""
    at_25_hz = Fraction(1, 25)
    path = encoded(tmp_path / "a.avi", map(picture, range(40)), B_FRAMES, codec=codec, time_base=at_25_hz)
    assert [time_ms for time_ms, _, _ in reader._decoded(reader._opened(path), everything)][-1] == 0
    times_ms = [frame.time_ms for frame in decode(path, everything)]
    np.testing.assert_allclose(np.diff(times_ms), 40, atol=0.01)
    assert irregularity(times_ms) is None
    assert whole_frames(path) == list(range(40))


def test_times_never_go_back(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mkv", map(picture, range(5)))
    decoded = [(time_ms, None, False) for time_ms in (1480.0, 1520.0, 0.0, 0.0, 1700.0)]
    monkeypatch.setattr(reader, "_decoded", lambda capture, wanted: (each for each in decoded))
    monkeypatch.setattr(reader, "announced", lambda capture: Announced(5, 20.0))
    assert [frame.time_ms for frame in decode(path, everything)] == [1480, 1520, 1570, 1620, 1700]
