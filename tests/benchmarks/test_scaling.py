"""The clips that the scaling benchmark loads are all there."""

from benchmarks.scaling import PACKED, load, write_manifest, write_packed


def test_all_clips_of_both_indexes_are_loaded(tmp_path):
    """None is set aside for validation: `load` refuses another number."""
    clips = PACKED + 2
    for write in (write_manifest, write_packed):
        assert load(write(tmp_path / write.__name__, clips), clips, lambda: 0.0)() == 0.0
