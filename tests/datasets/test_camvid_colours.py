"""CamVid's original label maps: 32 colours, read as SegNet's 11 classes."""

import cv2
import numpy as np
import pytest

from taf_keras.clips.clip import VOID
from taf_keras.clips.decode import read_label
from taf_keras.datasets.camvid import CLASSES, load_split
from taf_keras.errors import UserError
from taf_keras.inspection.check import check_split

# CamVid's public list of colours (label_colors.txt: red green blue name), each line behind SegNet's id.
LIST = """
 0  128 128 128 Sky
 1    0 128  64 Bridge       1  128   0   0 Building         1   64 192   0 Wall
 1   64   0  64 Tunnel       1  192   0 128 Archway
 2  192 192 128 Column_Pole  2    0   0  64 TrafficCone
 3  128  64 128 Road         3  128   0 192 LaneMkgsDriv     3  192   0  64 LaneMkgsNonDriv
 4    0   0 192 Sidewalk     4   64 192 128 ParkingBlock     4  128 128 192 RoadShoulder
 5  128 128   0 Tree         5  192 192   0 VegetationMisc
 6  192 128 128 SignSymbol   6  128 128  64 Misc_Text        6    0  64  64 TrafficLight
 7   64  64 128 Fence
 8   64   0 128 Car          8   64 128 192 SUVPickupTruck   8  192 128 192 Truck_Bus
 8  192  64 128 Train        8  128  64  64 OtherMoving
 9   64  64   0 Pedestrian   9  192 128  64 Child            9   64   0 192 CartLuggagePram
 9   64 128  64 Animal
10    0 128 192 Bicyclist   10  192   0 192 MotorcycleScooter
11    0   0   0 Void
"""
WORDS = np.array(LIST.split()).reshape(-1, 5)
IDS, COLOURS = WORDS[:, 0].astype(int), WORDS[:, 1:4].astype(np.uint8)


@pytest.fixture(scope="module")
def painted() -> tuple[np.ndarray, np.ndarray]:
    """(SegNet ids with VOID, the same in random colours of each group), 720×960; regions of a few px."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, len(IDS), (240, 160)).repeat(3, 0).repeat(6, 1)  # rows of LIST
    ids = IDS[blocks]
    return np.where(ids == 11, VOID, ids).astype(np.uint8), COLOURS[blocks]


def test_the_table_has_every_colour_once():
    assert len(IDS) == 32
    assert len(set(map(tuple, COLOURS.tolist()))) == 32
    assert len(CLASSES.raw_colours) == 32
    expected = [VOID if i == 11 else i for i in IDS.tolist()]
    assert [CLASSES.raw_colours[colour] for colour in map(tuple, COLOURS.tolist())] == expected


@pytest.mark.parametrize("size", [None, (720, 960), (360, 480), (96, 128)])
def test_colours_read_as_the_ids_that_they_stand_for(tmp_path, painted, size):
    ids, colours = painted
    path = tmp_path / "0001TP_006690_L.png"
    cv2.imwrite(str(path), colours[..., ::-1])  # OpenCV writes blue, green, red
    if size is not None:
        ids = cv2.resize(ids, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    np.testing.assert_array_equal(read_label(str(path), CLASSES, size), ids)


def test_original_label_maps_go_with_their_stills(camvid, painted):
    ids, colours = (array[:48, :64] for array in painted)
    folder = camvid / "trainannot"
    for path in list(folder.iterdir()):
        path.unlink()
        cv2.imwrite(str(folder / f"{path.stem}_L.png"), colours[..., ::-1])
    split = check_split(load_split(str(camvid), "train", 30), partners_within=30)
    assert len(split.clips) == 5
    np.testing.assert_array_equal(read_label(split.clips[0].key_frame.label, split.classes), ids)


def test_a_colour_outside_the_list_is_named(tmp_path, painted):
    colours = painted[1].copy()
    colours[100, 100] = (128, 64, 127)  # one off the road
    path = str(tmp_path / "0001TP_006690_L.png")
    cv2.imwrite(path, colours[..., ::-1])
    with pytest.raises(UserError, match=r"_L\.png: label colour 128/64/127 .* is not in the class table"):
        read_label(path, CLASSES)
