import numpy as np
import pytest

from taf_keras.clips.clip import VOID, ClassTable, Clip, Frame
from taf_keras.errors import UserError


def clip(*numbers, key):
    return Clip("c", tuple(Frame(n, f"{n}.png") for n in numbers), key)


def test_offsets_are_differences_of_frame_numbers_not_list_indices():
    sparse = clip(10, 17, 20, 24, key=17)
    assert sparse.offsets(15) == (-7, 0, 3, 7)
    assert sparse.offsets(3) == (0, 3)
    assert sparse.at(-7).number == 10


def test_a_missing_offset_is_an_error_and_not_a_neighbour():
    with pytest.raises(KeyError, match="no frame 18"):
        clip(10, 17, key=17).at(1)


@pytest.mark.parametrize("numbers", [(1, 1), (2, 1)])
def test_repeated_and_unordered_frames_are_refused(numbers):
    with pytest.raises(UserError, match="must ascend"):
        clip(*numbers, key=1)


def test_a_key_frame_outside_the_clip_is_refused():
    with pytest.raises(UserError, match="key frame 5"):
        clip(1, 2, key=5)


def test_lookup_marks_ids_outside_the_table():
    table = ClassTable(("a", "b"), ((0, 0, 0),) * 2, {7: 0, 8: 1, 0: VOID}).lookup
    assert table[7] == 0
    assert table[8] == 1
    assert table[0] == VOID
    assert np.sum(table >= 0) == 3


def test_files_of_train_ids_need_no_table():
    table = ClassTable(("a", "b"), ((0, 0, 0),) * 2).lookup
    assert np.flatnonzero(table >= 0).tolist() == [0, 1, VOID]
