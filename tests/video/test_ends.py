"""The last frames of videos: their times, and whether a file breaks off there."""

import struct
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from test_video import cut, index_of, picture, write_video
from test_write import B_FRAMES, encoded, everything, needs_av, write_with_longer_sound

from taf_keras.video import frames as reader
from taf_keras.video import mp4
from taf_keras.video.frames import Announced, Damaged, announced, decode, irregularity

FRAGMENTED = "frag_keyframe+empty_moov"


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


# --- MP4 ---


@pytest.fixture
def movie(tmp_path) -> Path:
    return encoded(tmp_path / "whole.mp4", map(picture, range(40)), B_FRAMES)


def copied(path: Path, name: str, begin_ms: int = 0, movflags: str = "") -> Path:
    """The same pictures in another file, of which those before `begin_ms` are not to be shown."""
    import av

    copy = path.with_name(name)
    options = {"movflags": movflags} if movflags else {}
    with av.open(str(path)) as source, av.open(str(copy), "w", options=options) as target:
        stream = source.streams.video[0]
        new, begin = target.add_stream_from_template(stream), round(begin_ms / 1000 / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, new
                target.mux(packet)
    return copy


@needs_av
def test_an_mp4_may_show_a_part_of_its_frames(movie):
    """As one that was cut between two key frames without encoding it again."""
    path = copied(movie, "part.mp4", begin_ms=600)
    assert announced(path).frames == 40
    assert whole_frames(path) == list(range(15, 40))


@needs_av
def test_a_longer_sound_of_a_fragmented_mp4_is_no_damage(tmp_path):
    path = write_with_longer_sound(tmp_path / "a.mp4", "mpeg4", movflags=FRAGMENTED)
    assert announced(path).frames > 30
    assert whole_frames(path) == list(range(30))


@needs_av
@pytest.mark.parametrize("movflags", ["faststart", FRAGMENTED])
def test_an_mp4_that_breaks_off_ends_with_damage(movie, movflags):
    path = copied(movie, "begun.mp4", movflags=movflags)
    assert whole_frames(path) == list(range(40))
    found = list(decode(cut(path, 0.7), everything))
    assert isinstance(found[-1], Damaged)
    assert whole_frames(path) == list(range(len(found) - 1))


def zeroed(path: Path, share: float) -> Path:
    """A copy of full length whose media are zeros from `share` of them on, as a bad disk returns them."""
    data, copy = bytearray(path.read_bytes()), path.with_name("zeroed.mp4")
    at = data.index(b"mdat") - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    begin = at + round(share * (end - at))
    data[begin:end] = bytes(end - begin)
    copy.write_bytes(data)
    return copy


@needs_av
@pytest.mark.parametrize("movflags", ["", "faststart"])
def test_an_mp4_of_full_length_whose_media_are_damaged_ends_with_damage(tmp_path, movflags):
    path = encoded(tmp_path / "a.mp4", map(picture, range(100)), B_FRAMES)
    found = list(decode(zeroed(copied(path, "b.mp4", movflags=movflags), 0.5), everything))
    assert 20 < len(found) < 75
    assert isinstance(found[-1], Damaged)


@needs_av
@pytest.mark.parametrize(("begin_ms", "expected_ms"), [(0, 1600), (600, 1000)])
def test_an_mp4_tells_how_long_its_pictures_are_shown(tmp_path, movie, begin_ms, expected_ms):
    with copied(movie, "part.mp4", begin_ms).open("rb") as file:
        assert mp4.shown_ms(file) == pytest.approx(expected_ms, abs=100)
    with write_with_longer_sound(tmp_path / "a.mp4", "mpeg4").open("rb") as file:
        assert mp4.shown_ms(file) == pytest.approx(1200, abs=100)
    with copied(movie, "fragments.mp4", movflags=FRAGMENTED).open("rb") as file:
        assert mp4.shown_ms(file) == 0


def test_headers_of_an_mp4_may_be_long_unknown_or_cut():
    def file(duration: int, rate: int = 1000, kind: bytes = b"vide") -> BytesIO:
        header = box(b"mvhd", struct.pack(">B19xIQ", 1, rate, 9999))
        track = box(b"tkhd", struct.pack(">B27xQ", 1, duration))
        track += box(b"mdia", box(b"hdlr", bytes(8) + kind))
        return BytesIO(box(b"ftyp", b"isom") + box(b"moov", header + box(b"trak", track)))

    assert mp4.shown_ms(file(1234)) == 1234
    assert mp4.shown_ms(file(1234, kind=b"soun")) == mp4.shown_ms(file(1234, rate=0)) == 0
    assert mp4.shown_ms(file(2**64 - 1)) == 0
    for length in range(len(whole := file(1234).getvalue())):
        assert mp4.shown_ms(BytesIO(whole[:length])) in (0, 1234)


def box(name: bytes, body: bytes = b"", size: int | None = None, long: bool = False) -> bytes:
    size = 8 + 8 * long + len(body) if size is None else size
    return struct.pack(">I4sQ", 1, name, size) + body if long else struct.pack(">I4s", size, name) + body


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([box(b"moov"), box(b"mdat", b"1234")], False),
        ([box(b"moov"), box(b"mdat", b"1234", size=13)], True),
        ([box(b"mdat", b"1234", long=True), box(b"moov")], False),
        ([box(b"mdat", b"1234", size=21, long=True)], True),
        ([box(b"moov"), box(b"mdat", b"1234", size=0)], False),  # to the end of the file
        ([box(b"moov"), box(b"mdat", b"1234"), box(b"moof", size=9)], True),
        ([box(b"moov"), box(b"mdat", b"1234"), b"moo"], False),
        ([box(b"moov"), box(b"mdat", b"1234"), box(b"free", size=99)], False),  # nothing of it is missing
        ([box(b"moov"), box(b"mdat", b"1234"), bytes(range(1, 30))], False),  # and these are no boxes
        ([box(b"moov"), box(b"mdat", b"1234"), box(b"\0\0\0\0", size=3)], False),
    ],
)
def test_an_mp4_is_cut_where_a_box_of_media_is(boxes, expected):
    assert mp4.is_cut(BytesIO(b"".join([box(b"ftyp", b"isom"), *boxes]))) is expected
