"""Whether val shows the places of train, of made-up places that are known by their colours."""

import numpy as np
import pytest
from advice_examples import texture

from taf_keras.advice.places import NEW, SAME, colours, compare_places
from taf_keras.clips.clip import Clip, Frame


def view(place: int, seed: int) -> np.ndarray:
    """A picture in the few colours of a place, differently arranged by each seed."""
    palette = np.random.default_rng(place).integers(0, 256, (5, 3)).astype(np.uint8)
    grain = texture(96, 128, seed=seed, grain_px=6)[..., 0]
    return palette[np.clip((grain.astype(int) - 50) // 32, 0, 4)]


def clips(places, seed: int, each: int = 2, unsteady: bool = False) -> list[Clip]:
    """`each` clips of every place. Unsteady ones end at another place."""
    made = []
    for place in places:
        for i in range(each):
            number = seed + 10 * place + i
            end = view(place + 1000 * unsteady, number + 5)
            frames = (Frame(0, view(place, number), np.zeros((96, 128), np.uint8)), Frame(9, end))
            made.append(Clip(f"{seed}_{place}_{i}", frames, 0))
    return made


def compare(train, val):
    return compare_places(train, val, on_progress=lambda done, total: None)


@pytest.mark.parametrize("each", [1, 2])
def test_other_clips_of_the_same_places(each):
    assert compare(clips(range(12), 0, each), clips(range(12), 5000, each=1)).verdict == SAME


@pytest.mark.parametrize("each", [1, 2])
def test_other_places(each):
    found = compare(clips(range(12), 0, each), clips(range(100, 112), 5000))
    assert found.verdict == NEW
    assert found.val > found.within


def test_frames_of_a_video_that_train_has_too_need_no_colours():
    train, val = clips(range(12), 0), clips(range(100, 112), 5000)
    shared = Clip(val[0].name, val[0].frames, 0, video=train[3].name)
    found = compare(train, [shared, *val[1:]])
    assert found.verdict == SAME
    assert train[3].name in found.reason


def test_it_cannot_be_told_where_colours_say_nothing():
    """Clips that change as much as clips differ, a single video, few key frames, or no val."""
    train, val = clips(range(12), 0), clips(range(12), 5000)
    one = [Clip(clip.name, clip.frames, 0, video="one") for clip in train]
    for pair in ((clips(range(12), 0, unsteady=True), val), (one, val), (train[:6], val), (train, val[:3])):
        assert compare(*pair).verdict is None
    assert compare(train, []).reason == "there is no val split"


def test_colours_do_not_tell_where_they_are():
    picture = view(3, 0)
    np.testing.assert_allclose(colours(picture), colours(picture[::-1, ::-1].copy()))
    assert np.linalg.norm(colours(picture)) == pytest.approx(1)
