"""Key frames that are set aside are apart from training, in time or by video."""

from taf_keras.clips.hold_out import hold_out


def test_of_one_video_the_last_fifth_is_set_aside_with_a_gap_before_it():
    train, val = hold_out({"street": list(range(0, 300, 10))}, gap_frames=25)
    assert val == {"street": [240, 250, 260, 270, 280, 290]}
    assert train == {
        "street": list(range(0, 220, 10))
    }  # 220 and 230 lie within 25 frames of 240; 215 would not


def test_of_many_videos_whole_ones_are_set_aside():
    keys = {f"drive{i}": [7, 300] for i in range(10)}
    train, val = hold_out(keys, gap_frames=1000)
    assert len(val) == 2
    assert not set(train) & set(val)
    assert set(train) | set(val) == set(keys)
    assert all(numbers == [7, 300] for numbers in (train | val).values())


def test_a_short_video_beside_a_long_one_stays_in_training():
    train, val = hold_out({"long": [0, 100, 200, 300, 400], "short": [5]})
    assert val == {"long": [400]}
    assert train == {"long": [0, 100, 200, 300], "short": [5]}


def test_five_key_frames_in_short_videos_are_enough_and_four_are_not():
    assert hold_out({"a": [0, 50], "b": [0, 50, 90]}) == ({"a": [0, 50], "b": [0, 50]}, {"b": [90]})
    assert hold_out({"a": [0, 50], "b": [0, 50]}) == ({"a": [0, 50], "b": [0, 50]}, {})
