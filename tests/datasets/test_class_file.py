"""What label maps hold where classes.json gives no colours, or some."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taf_keras.clips.clip import VOID
from taf_keras.clips.decode import read_label
from taf_keras.clips.palette import distinct_colours
from taf_keras.datasets.class_file import class_table
from taf_keras.errors import BadFileError

BACKGROUND, ROAD, CAR = {"name": "background"}, {"name": "road"}, {"name": "car"}
CRACK = {"name": "crack", "id": 255}
RED, BLUE, BLACK = (255, 0, 0), (0, 0, 142), (0, 0, 0)
VOC = [BLACK, (128, 0, 0), (0, 128, 0)]  # the first colours of its palette


def table(folder: Path, *classes: dict, **void):
    (folder / "classes.json").write_text(json.dumps({"classes": classes, **void}))
    return class_table(str(folder))


def three_channels(folder: Path, values: list[int]) -> str:
    Image.fromarray(np.uint8([values] * 2)).convert("RGB").save(folder / "mask.png")
    return str(folder / "mask.png")


def indexed(folder: Path, indices: list[int], colours: list[tuple]) -> str:
    image = Image.fromarray(np.uint8([indices] * 2), "P")
    image.putpalette(np.uint8(colours).tobytes())
    image.save(folder / "mask.png")
    return str(folder / "mask.png")


def colours(folder: Path, values: list[tuple]) -> str:
    Image.fromarray(np.uint8([values] * 2)).save(folder / "mask.png")
    return str(folder / "mask.png")


# --- Ids and colours --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "void", "values", "ids"),
    [
        ([BACKGROUND, CRACK], {}, [0, 255], [0, 1]),
        ([BACKGROUND, CRACK], {}, [0, 0], [0, 0]),
        ([BACKGROUND, CRACK], {}, [255, 255], [1, 1]),
        ([BACKGROUND, ROAD, CAR], {}, [0, 1, 2, 255], [0, 1, 2, VOID]),
        ([BACKGROUND, ROAD, CAR], {}, [0, 0], [0, 0]),
        ([ROAD, CAR], {"void": 0}, [0, 1, 2], [VOID, 0, 1]),
        # With a colour for pictures, as on the page from a video to a model.
        ([BACKGROUND, CRACK | {"colour": RED}], {}, [0, 0], [0, 0]),
        ([BACKGROUND, CRACK | {"colour": RED}], {"void": []}, [0, 0], [0, 0]),
        ([BACKGROUND, CRACK | {"colour": RED}], {"void": []}, [0, 255], [0, 1]),
    ],
)
def test_grey_of_three_channels_is_read_as_grey_of_one(tmp_path, classes, void, values, ids):
    """Also where it holds nothing but 0, so that it is black."""
    read = table(tmp_path, *classes, **void)
    assert read_label(three_channels(tmp_path, values), read).tolist() == [ids] * 2
    assert read_label(np.uint8([values] * 2), read).tolist() == [ids] * 2


@pytest.mark.parametrize("indices", [[0, 1, 2], [0, 0], [1, 2], [2, 2]])
@pytest.mark.parametrize("palette", [VOC, [BLACK, *distinct_colours(3)[:2]], distinct_colours(3)[::-1]])
def test_without_colours_a_palette_is_its_indices(tmp_path, indices, palette):
    """Black is not void then, and the colours that pictures get stand for nothing."""
    read = table(tmp_path, BACKGROUND, ROAD, CAR)
    assert read_label(indexed(tmp_path, indices, palette), read).tolist() == [indices] * 2


def test_with_some_colours_index_0_may_be_black(tmp_path):
    read = table(tmp_path, BACKGROUND, ROAD | {"colour": VOC[1]}, CAR | {"colour": VOC[2]})
    for indices in ([0, 0], [0, 1, 2]):
        assert read_label(indexed(tmp_path, indices, VOC), read).tolist() == [indices] * 2


def test_a_class_without_a_colour_is_known_by_its_id_alone(tmp_path):
    """The red that pictures give to the first class is the colour of the second."""
    first = distinct_colours(2)[0]
    read = table(tmp_path, BACKGROUND, ROAD | {"colour": first})
    assert read.raw_colours == {first: 1}
    assert table(tmp_path, BACKGROUND, ROAD).raw_colours is None
    with pytest.raises(BadFileError, match=r"label colour 230/46/46 \(red/green/blue\) is not in the class"):
        read_label(colours(tmp_path, [first]), table(tmp_path, BACKGROUND, ROAD))


@pytest.mark.parametrize(
    ("classes", "void", "meaning"),
    [
        # All have colours.
        ([ROAD | {"colour": RED}, CAR | {"colour": BLUE}], {}, {BLACK: VOID, RED: 0, BLUE: 1}),
        ([ROAD | {"colour": RED}, CAR | {"colour": BLUE}], {"void": []}, {BLACK: VOID, RED: 0, BLUE: 1}),
        ([ROAD | {"colour": RED}, CAR | {"colour": BLACK}], {}, {RED: 0, BLACK: 1}),
        # The class of id 0 has one, or there is none.
        ([ROAD | {"colour": RED}, CAR], {}, {BLACK: VOID, RED: 0}),
        ([ROAD, CAR | {"colour": RED}], {"void": 0}, {BLACK: VOID, RED: 1}),
        # It has none: what black is must be said.
        ([ROAD, CAR | {"colour": RED}], {}, {RED: 1}),
        ([ROAD, CAR | {"colour": RED}], {"void": [255, BLACK]}, {BLACK: VOID, RED: 1}),
        ([ROAD, CAR], {"void": [255, BLACK]}, {BLACK: VOID}),
    ],
)
def test_black_is_void_where_it_cannot_be_id_0(tmp_path, classes, void, meaning):
    assert table(tmp_path, *classes, **void).raw_colours == meaning


def test_a_black_picture_is_void_where_classes_have_colours(tmp_path):
    read = table(tmp_path, ROAD | {"colour": RED}, CAR | {"colour": BLUE})
    assert read_label(three_channels(tmp_path, [0, 0]), read).tolist() == [[VOID] * 2] * 2
