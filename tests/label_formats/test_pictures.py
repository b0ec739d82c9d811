"""Each label gets its own image of the export, also where videos have images of one name."""

import json
from pathlib import Path

import numpy as np
import pytest
import tool_exports as tools
from PIL import Image
from tool_exports import CLASSES, SIZE, colours

from taf_keras.label_formats.class_files import read_class_file
from taf_keras.label_formats.detect import detected, read_export
from taf_keras.label_formats.pictures import Pictures

VIDEOS = ("park", "street")
STILL = np.full((*SIZE, 3), 77, np.uint8)


def found(folder: Path, *names: str) -> Pictures:
    return Pictures(folder, [folder / name for name in names])


def test_a_path_tells_one_image_from_another(tmp_path):
    pictures = found(tmp_path, "JPEGImages/park/000010.jpg", "JPEGImages/street/000010.jpg")
    assert pictures.of("street/000010.png") == tmp_path / "JPEGImages/street/000010.jpg"
    assert pictures.of("masks\\park\\000010.png") == tmp_path / "JPEGImages/park/000010.jpg"
    assert pictures.of("export/masks/park/000010.png") == tmp_path / "JPEGImages/park/000010.jpg"
    assert pictures.of("000010.png") is None
    assert pictures.of("harbour/000010.png") is None


def test_a_name_is_enough_where_it_is_unique(tmp_path):
    pictures = found(tmp_path, "images/a/street_000010.jpg", "images/a/frame_000007.rf.1a2b.jpg")
    assert pictures.of("street_000010.png") == tmp_path / "images/a/street_000010.jpg"
    assert pictures.of("b/street_000010") == tmp_path / "images/a/street_000010.jpg"
    assert pictures.of("frame_000007.rf.1a2b") == tmp_path / "images/a/frame_000007.rf.1a2b.jpg"


def test_a_whole_path_and_a_suffix_count_most(tmp_path):
    pictures = found(tmp_path, "sub/park/1.png", "park/1.png", "park/2.jpg", "park/2.png")
    assert pictures.of("park/1.png") == tmp_path / "park/1.png"
    assert pictures.of("sub/park/1.jpg") == tmp_path / "sub/park/1.png"
    assert pictures.of("2.jpg") == tmp_path / "park/2.jpg"


def cvat_mask(folder: Path) -> None:
    lines = [f"{name}:{','.join(map(str, colour))}::" for name, colour in CLASSES.items()]
    tools.write(folder / "labelmap.txt", "background:0,0,0::\n" + "\n".join(lines))
    for video in VIDEOS:
        tools.write(folder / f"SegmentationClass/{video}/000010.png", colours(10))
        tools.write(folder / f"JPEGImages/{video}/000010.png", STILL)


def camvid(folder: Path) -> None:
    tools.camvid(folder, [])
    for video in VIDEOS:
        tools.write(folder / f"{video}annot/000010.png", colours(10))
        tools.write(folder / f"{video}/000010.png", STILL)


def voc(folder: Path) -> None:
    tools.write(folder / "class_names.txt", "_background_\nroad\ncar\n")
    for video in VIDEOS:
        path = folder / f"SegmentationClass/{video}/000010.png"
        path.parent.mkdir(parents=True)
        mask = Image.fromarray(np.zeros(SIZE, np.uint8)).convert("P")
        mask.save(path)
        tools.write(folder / f"JPEGImages/{video}/000010.png", STILL)


def plain(folder: Path) -> None:
    for video in VIDEOS:
        tools.write(folder / f"masks/{video}/000010.png", colours(10))
        tools.write(folder / f"images/{video}/000010.png", STILL)


def cvat_xml(folder: Path) -> None:
    path = tools.cvat_xml(folder, [10, 11])
    text = path.read_text()
    for video, number in zip(VIDEOS, (10, 11), strict=True):
        assert f"{tools.still(number)}.png" in text
        text = text.replace(f"{tools.still(number)}.png", f"{video}/000010.png")
        tools.write(folder / f"images/{video}/000010.png", STILL)
    path.write_text(text)


def coco(folder: Path) -> None:
    path = tools.coco(folder, [10, 11])
    content = json.loads(path.read_text())
    for video, image in zip(VIDEOS, content["images"], strict=True):
        image["file_name"] = f"{video}/000010.png"
        tools.write(folder / f"images/{video}/000010.png", STILL)
    tools.write(path, content)


def supervisely(folder: Path) -> None:
    tools.supervisely(folder, [10])
    ann = next(folder.rglob("ann/*.json"))
    content = ann.read_text()
    ann.unlink()
    for video in VIDEOS:
        tools.write(folder / f"{video}/ann/000010.png.json", content)
        tools.write(folder / f"{video}/img/000010.png", STILL)


def labelme(folder: Path) -> None:
    tools.labelme(folder, [10])
    path = next(folder.glob("*.json"))
    content = json.loads(path.read_text()) | {"imagePath": "000010.png"}
    path.unlink()
    for video in VIDEOS:
        tools.write(folder / f"{video}/000010.json", content)
        tools.write(folder / f"{video}/000010.png", STILL)


@pytest.mark.parametrize("write", [cvat_mask, camvid, voc, plain, cvat_xml, coco, supervisely, labelme])
def test_images_of_one_name_in_folders_of_videos(tmp_path, write):
    folder = tmp_path / "export"
    write(folder)
    (tmp_path / "names.txt").write_text("road:128,64,128\ncar:0,0,142\nnothing:0,0,0\n")
    kind = detected(folder)
    assert kind == write.__name__
    table = read_class_file(tmp_path / "names.txt") if kind == "plain" else None
    export = read_export(folder, kind, table)
    assert sorted(Path(image.name).parent.name for image in export.images) == list(VIDEOS)
    for image in export.images:
        assert image.picture.suffix == ".png"
        assert Path(image.name).parent.name in image.picture.relative_to(folder).parts
        assert not {"masks", "SegmentationClass"} & set(image.picture.relative_to(folder).parts)


@pytest.mark.parametrize("place", ["images/masks", "frames/labels", "images/mine/gt"])
def test_a_plain_mask_below_a_folder_of_images_is_no_image(tmp_path, place):
    tools.write(tmp_path / f"{place}/street_000010.png", tools.car_mask(10).astype(np.uint8))
    still = tmp_path / place.partition("/")[0] / "street_000010.jpg"
    image = read_export(tmp_path, "plain", None).images[0]
    assert image.picture is None
    tools.write(still, STILL)
    assert read_export(tmp_path, "plain", None).images[0].picture == still


@pytest.mark.parametrize("write", [tools.coco, tools.label_studio])
def test_a_mask_beside_json_is_no_image(tmp_path, write):
    name = json.loads(write(tmp_path, [10]).read_text())
    name = name["images"][0]["file_name"] if write is tools.coco else Path(name[0]["data"]["image"]).name
    for folder in ("masks", "street/SegmentationClass"):
        tools.write(tmp_path / folder / name, tools.car_mask(10).astype(np.uint8))
    kind = write.__name__
    assert read_export(tmp_path, kind, None).images[0].picture is None
    tools.write(tmp_path / "stills" / name, STILL)
    assert read_export(tmp_path, kind, None).images[0].picture == tmp_path / "stills" / name
