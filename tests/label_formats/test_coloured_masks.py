"""Black and grey in exports whose masks have the colours of classes: a class only where the list says so."""

from pathlib import Path

import numpy as np
import pytest
import tool_exports as tools
from PIL import Image

from taf_keras.clips.clip import VOID
from taf_keras.errors import UserError
from taf_keras.label_formats.class_files import read_class_file
from taf_keras.label_formats.detect import detected, read_export
from taf_keras.label_formats.export import UNLABELLED, Export

SKY, TREE, ROAD, BLACK = (128, 128, 128), (128, 128, 0), (128, 64, 128), (0, 0, 0)
PLACES = ("masks", "export/SegmentationClass")


def halves(left: tuple[int, ...], right: tuple[int, ...]) -> np.ndarray:
    return np.uint8([[left] * 6 + [right] * 6] * 8)


def listed(path: Path, **classes: tuple[int, int, int]) -> Path:
    lines = [f"{name}:{','.join(map(str, colour))}" for name, colour in classes.items()]
    return tools.write(path, "\n".join(lines))


def read(folder: Path, classes: Path) -> Export:
    return read_export(folder, detected(folder), read_class_file(classes))


def values(export: Export) -> list[list[int]]:
    """The ids of the left and the right half of each mask."""
    return [image.read()[0, [0, -1]].tolist() for image in export.images]


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize("place", PLACES)
def test_black_that_is_listed_last_is_itself_in_a_mask_without_objects(tmp_path, place, mode):
    save(tmp_path / place / "street_000001.png", halves(TREE, BLACK))
    Image.fromarray(halves(BLACK, BLACK)).convert(mode).save(tmp_path / place / "street_000002.png")
    folder = (tmp_path / place).parent
    classes = listed(tmp_path / "names.txt", sky=SKY, tree=TREE, void=BLACK)
    assert values(read(folder, classes)) == [[1, VOID], [VOID, VOID]]
    classes = listed(tmp_path / "names.txt", sky=SKY, tree=TREE, background=BLACK)
    assert values(read(folder, classes)) == [[1, 2], [2, 2]]
    entries = [{"name": "sky", "colour": SKY}, {"name": "tree", "colour": TREE}]
    classes = tools.write(tmp_path / "classes.json", {"classes": entries, "void": [255, BLACK]})
    assert values(read(folder, classes)) == [[1, VOID], [VOID, VOID]]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("place", PLACES)
def test_a_mask_that_shows_a_grey_class_alone_holds_colours(tmp_path, place, mode):
    save(tmp_path / place / "street_000001.png", halves(TREE, SKY))
    Image.fromarray(halves(SKY, BLACK)).convert(mode).save(tmp_path / place / "street_000002.png")
    Image.fromarray(halves(BLACK, BLACK)).convert(mode).save(tmp_path / place / "street_000003.png")
    classes = listed(tmp_path / "names.txt", sky=SKY, tree=TREE)
    export = read((tmp_path / place).parent, classes)
    assert values(export) == [[1, 0], [0, UNLABELLED], [UNLABELLED, UNLABELLED]]
    save(tmp_path / place / "street_000004.png", halves((1, 1, 1), BLACK)[..., 0])
    export = read((tmp_path / place).parent, classes)
    assert values(export) == [[1, 0], [0, UNLABELLED], [0, 0], [1, 0]]  # the last holds ids


def palette(path: Path, indices: tuple[int, int], *colours: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(halves(indices[:1], indices[1:])[..., 0])
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette([value for colour in colours for value in colour])
    picture.save(path)


@pytest.mark.parametrize("place", PLACES)
def test_a_palette_of_colours_whose_indices_tell_other_classes_is_named(tmp_path, place):
    palette(tmp_path / place / "street_000001.png", (0, 2), BLACK, TREE, ROAD)
    palette(tmp_path / place / "street_000002.png", (1, 2), BLACK, TREE, ROAD)
    classes = listed(tmp_path / "names.txt", sky=SKY, tree=TREE, road=ROAD)
    export = read((tmp_path / place).parent, classes)
    assert values(export) == [[1, 2]]  # the same by their indices
    assert str(export.left_out[0]) == (
        "street_000001.png: has a palette in which index 0 has the colour 0/0/0: by its index that is sky, "
        "by its colour void; give the classes other colours, or the same order"
    )


@pytest.mark.parametrize("place", PLACES)
def test_a_palette_of_colours_whose_indices_are_no_classes_is_read_by_them(tmp_path, place):
    palette(tmp_path / place / "street_000001.png", (7, 8), *[BLACK] * 8, ROAD)
    palette(tmp_path / place / "street_000002.png", (0, 0), *[BLACK] * 8, ROAD)
    classes = listed(tmp_path / "names.txt", sky=SKY, tree=TREE, road=ROAD)
    assert values(read((tmp_path / place).parent, classes)) == [[UNLABELLED, 2], [UNLABELLED] * 2]


@pytest.mark.parametrize("first", ["void", "background"])
@pytest.mark.parametrize("place", PLACES)
def test_black_at_the_index_of_what_has_no_colour_is_that(tmp_path, place, first):
    palette(tmp_path / place / "street_000001.png", (0, 2), BLACK, TREE, ROAD)
    text = listed(tmp_path / "names.txt", tree=TREE, road=ROAD).read_text()
    classes = tools.write(tmp_path / "names.txt", f"{first}\n{text}")
    expected = [[VOID, 1]] if first == "void" else [[0, 2]]
    assert values(read((tmp_path / place).parent, classes)) == expected


def test_void_beyond_a_palette_stays_void(tmp_path):
    """Tools fill it up with black, which is the colour of a class here."""
    palette(tmp_path / "export/SegmentationClass/street_000001.png", (1, 255), BLACK, TREE, *[BLACK] * 254)
    classes = listed(tmp_path / "names.txt", background=BLACK, tree=TREE, road=ROAD)
    assert values(read(tmp_path / "export", classes)) == [[1, VOID]]


def test_other_palettes_hold_indices(tmp_path):
    palette(tmp_path / "masks/street_000001.png", (0, 1), BLACK, (128, 0, 0), (0, 128, 0))
    palette(tmp_path / "masks/street_000002.png", (0, 0), BLACK, (128, 0, 0), (0, 128, 0))
    classes = listed(tmp_path / "names.txt", sky=SKY, tree=TREE)
    assert values(read(tmp_path, classes)) == [[0, 1], [0, 0]]


@pytest.mark.parametrize("fraction", [np.nan, 2.5])
def test_a_mask_of_fractions_is_left_out_by_its_name(tmp_path, fraction):
    save(tmp_path / "masks/street_000001.tif", np.full((8, 12), fraction, np.float32))
    with pytest.raises(UserError, match=r"no mask can be read: street_000001\.tif: holds fractions, not ids"):
        read_export(tmp_path, "plain", None)
    save(tmp_path / "masks/street_000002.tif", halves((0,), (1,))[..., 0])
    export = read_export(tmp_path, "plain", None)
    assert values(export) == [[0, 1]]
    assert str(export.left_out[0]) == "street_000001.tif: holds fractions, not ids"
