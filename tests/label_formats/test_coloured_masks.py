"""Black and grey in exports whose masks have the colours of classes: a class only where the list says so."""

from pathlib import Path

import numpy as np
import pytest
import tool_exports as tools
from PIL import Image

from taf_keras.clips.clip import VOID
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
