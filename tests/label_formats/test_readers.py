"""What the formats leave open: order, background, names, and things that are no masks."""

import base64
import io
import json
import sys
import xml.etree.ElementTree as ElementTree
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import tool_exports as tools
from PIL import Image
from tool_exports import HEIGHT, SIZE, UNLABELLED, WIDTH, box_outline, car_mask, label, still

from taf_keras.clips.clip import VOID
from taf_keras.errors import BadFileError, UserError
from taf_keras.label_formats.class_files import read_class_file
from taf_keras.label_formats.detect import detected, read_export
from taf_keras.label_formats.export import Export


def read(place: Path, classes: Path | None = None) -> Export:
    return read_export(place, detected(place), read_class_file(classes) if classes else None)


def test_objects_of_coco_cover_larger_ones_whatever_their_order(tmp_path):
    path = tools.coco(tmp_path, [3])
    np.testing.assert_array_equal(read(path).images[0].read(), label(3))
    content = json.loads(path.read_text())
    content["annotations"].reverse()
    np.testing.assert_array_equal(read(tools.write(path, content)).images[0].read(), label(3))


def test_parts_and_objects_of_a_class_add_up(tmp_path):
    path = tools.coco(tmp_path, [3])
    content = json.loads(path.read_text())
    boxes = [[*np.ravel(box_outline(1, 1, 5, 5))], [*np.ravel(box_outline(3, 3, 9, 9))]]
    content["annotations"] = [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 2,
            "segmentation": [[float(v) for v in ring] for ring in boxes],
        },
        {"id": 2, "image_id": 1, "category_id": 2, "segmentation": [[20.0, 20, 30, 20, 30, 30, 20, 30]]},
        {"id": 3, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "segmentation": []},
    ]
    export = read(tools.write(path, content))
    assert (export.images[0].read() == 1).sum() == 16 + 36 - 4 + 100  # overlapping parts are one object
    assert export.said == {"object that has a box alone: not used": 1}


def test_the_group_that_roboflow_lists_first_is_no_class(tmp_path):
    path = tools.coco(tmp_path, [3])
    content = json.loads(path.read_text())
    for category in content["categories"]:
        category["supercategory"] = "things"
    content["categories"].insert(0, {"id": 0, "name": "things", "supercategory": "none"})
    assert list(read(tools.write(path, content)).classes) == ["road", "car"]


def test_z_order_decides_in_cvat_and_then_the_order_of_shapes(tmp_path):
    path = tools.cvat_xml(tmp_path, [3])
    text = path.read_text()
    path.write_text(text.replace("z_order='1'", "z_order='-1'"))
    left, _, right, bottom = tools.car_box(3)
    assert (read(path).images[0].read()[24:bottom, left:right] == 0).all()  # the road covers the car
    path.write_text(text.replace("z_order='1'", "z_order='0'"))  # the car comes first in the file
    assert (read(path).images[0].read()[24:bottom, left:right] == 0).all()


def test_boxes_are_filled_and_lines_and_points_are_not(tmp_path):
    path = tools.cvat_xml(tmp_path, [3])
    more = (
        '<box label="car" xtl="60" ytl="2" xbr="70" ybr="8" z_order="3">'
        '<attribute name="parked">yes</attribute></box>'
        '<ellipse label="car" cx="10" cy="8" rx="4" ry="3" z_order="3"></ellipse>'
        '<polyline label="car" points="1,1;9,9"></polyline><points label="car" points="1,1"></points>'
        '<tag label="car" source="manual"></tag>'
    )
    path.write_text(path.read_text().replace("</image>", f"{more}</image>", 1))
    export = read(path)
    ids = export.images[0].read()
    assert (ids[2:8, 60:70] == 1).all()
    assert ids[8, 10] == 1
    assert (
        export.said["polyline: not used"]
        == export.said["points: not used"]
        == export.said["tag: not used"]
        == 1
    )
    assert export.said["attribute: not used"] == 1
    assert export.said["box or ellipse: filled, as in CVAT's own masks"] == 2
    assert export.said["image without a drawn label: not used"] == 1


TWO_TASKS = "annotations.xml: holds the frames of 2 tasks, which may be different videos"


def with_tasks(path: Path, tag: str, *tasks: int) -> Path:
    """Gives the elements of a name the tasks of a project, in turns."""
    root = ElementTree.fromstring(path.read_text())
    for element, task in zip(root.findall(tag), cycle(tasks), strict=False):
        element.set("task_id", str(task))
    return tools.write(path, ElementTree.tostring(root, encoding="unicode"))


def test_tracks_of_several_tasks_are_refused(tmp_path):
    path = tools.cvat_video_xml(tmp_path, [3, 4])
    assert len(read(with_tasks(path, "track", 7)).images) == 2
    with pytest.raises(UserError, match=TWO_TASKS):
        read(with_tasks(path, "track", 7, 8))


def test_frames_of_several_tasks_are_refused_where_no_name_tells_them_apart(tmp_path):
    path = with_tasks(tools.cvat_xml(tmp_path, [3, 4]), "image", 7, 8, 8)
    assert len(read(path).images) == 2
    path.write_text(path.read_text().replace(f"{still(3)}.png", "frame_000003"))
    assert len(read(path).images) == 2  # the other task has real names
    path.write_text(path.read_text().replace(f"{still(999)}.png", "frame_000999"))
    assert len(read(path).images) == 2  # which nobody has labelled
    path.write_text(path.read_text().replace(f"{still(4)}.png", "frame_000003"))
    with pytest.raises(UserError, match=TWO_TASKS):
        read(path)


def test_stills_exported_as_a_video_say_which_export_to_take(tmp_path):
    path = tools.cvat_video_xml(tmp_path, [3])
    path.write_text(path.read_text().replace("original_size", "other_size"))
    with pytest.raises(UserError, match=r"is of a task of images: export it as CVAT for images 1\.1"):
        read(path)


def test_masks_circles_and_ignored_shapes_of_labelme(tmp_path):
    tools.labelme(tmp_path, [3])
    data = io.BytesIO()
    Image.fromarray(np.uint8([[1, 0], [1, 1]])).save(data, format="PNG")
    path = tmp_path / f"{still(3)}.json"
    content = json.loads(path.read_text())
    content["shapes"] += [
        {"label": "car", "shape_type": "circle", "points": [[60, 10], [63, 10]]},
        {
            "label": "car",
            "shape_type": "mask",
            "points": [[1, 2], [2, 3]],
            "mask": base64.b64encode(data.getvalue()).decode(),
        },
        {"label": "__ignore__", "shape_type": "polygon", "points": box_outline(0, 40, 10, 48)},
    ]
    path.write_text(json.dumps(content))
    export = read(tmp_path)
    ids = export.images[0].read()
    assert ids[2:4, 1:3].tolist() == [[1, UNLABELLED], [1, 1]]
    assert (ids[40:, :10] == VOID).all()
    assert (ids[5:15, 50:] == 1).sum() == pytest.approx(np.pi * 9, abs=4)
    assert export.said == {"point: not used": 1}


def test_a_rectangle_of_labelme_may_have_its_four_corners(tmp_path):
    tools.labelme(tmp_path, [3])
    path = tmp_path / f"{still(3)}.json"
    content = json.loads(path.read_text())
    content["shapes"] = [
        {"label": "car", "shape_type": "rectangle", "points": box_outline(4, 10, 24, 30)},
        {"label": "road", "shape_type": "rectangle", "points": [[30, 10], [40, 30]]},
    ]
    ids = read(tools.write(path, content)).images[0].read()
    assert (ids[10:30, 4:24] == 1).all()
    assert [(ids == position).sum() for position in (0, 1)] == [200, 400]


def test_background_in_labelmes_list_is_what_has_no_label(tmp_path):
    tools.labelme(tmp_path, [3])
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\ncar\nroad\n")
    export = read(tmp_path)
    assert list(export.classes) == ["_background_", "car", "road"]
    np.testing.assert_array_equal(export.images[0].read(), np.uint8([2, 1, 0])[np.minimum(label(3), 2)])
    (tmp_path / "labels.txt").write_text("road\n")
    with pytest.raises(UserError, match=r"labels\.txt: does not list the label car"):
        read(tmp_path)
    (tmp_path / "labels.txt").unlink()
    assert list(read(tmp_path).classes) == ["car", "road"]


def test_cvats_background_is_a_class_where_it_has_a_colour(tmp_path):
    tools.cvat_masks(tmp_path, [3])
    table = (tmp_path / "labelmap.txt").read_text()
    (tmp_path / "labelmap.txt").write_text(table.replace("background:0,0,0", "background:1,1,1"))
    assert list(read(tmp_path).classes) == ["background", "road", "car"]
    (tmp_path / "labelmap.txt").write_text(table.replace("0,0,142", "128,64,128"))
    with pytest.raises(UserError, match="classes road and car have one colour"):
        read(tmp_path)


def test_grey_masks_beside_cvats_table_hold_its_lines(tmp_path):
    tools.cvat_masks(tmp_path, [3])
    ids = label(3)
    lines = np.where(ids == UNLABELLED, 0, ids + 1).astype(np.uint8)
    tools.write(tmp_path / "SegmentationClass" / f"{still(3)}.png", lines)
    np.testing.assert_array_equal(read(tmp_path).images[0].read(), ids)


def test_palettes_beside_cvats_table_hold_its_colours(tmp_path):
    tools.cvat_masks(tmp_path, [3])
    picture = Image.frombytes("P", (WIDTH, HEIGHT), np.minimum(label(3), 2).tobytes())
    picture.putpalette([0, 0, 142, 128, 64, 128, 0, 0, 0])  # in an order of its own
    picture.save(tmp_path / "SegmentationClass" / f"{still(3)}.png")
    np.testing.assert_array_equal(
        read(tmp_path).images[0].read(), np.uint8([1, 0, UNLABELLED])[np.minimum(label(3), 2)]
    )


def test_a_colour_that_the_table_lacks_is_named(tmp_path):
    tools.cvat_masks(tmp_path, [3])
    picture = tools.colours(3)
    picture[0, 0] = (7, 8, 9)
    tools.write(tmp_path / "SegmentationClass" / f"{still(3)}.png", picture)
    with pytest.raises(BadFileError, match=r"street_000003\.png: label colour 9/8/7"):
        read(tmp_path).images[0].read()


def test_a_colour_of_a_palette_that_the_table_lacks_is_named(tmp_path):
    tools.cvat_masks(tmp_path, [3])
    picture = Image.frombytes("P", (WIDTH, HEIGHT), np.minimum(label(3), 2).tobytes())
    picture.putpalette([0, 0, 142, 7, 8, 9, 0, 0, 0])
    picture.save(tmp_path / "SegmentationClass" / f"{still(3)}.png")
    with pytest.raises(BadFileError, match=r"street_000003\.png: label colour 7/8/9"):
        read(tmp_path).images[0].read()


def masks(folder: Path, pixels: np.ndarray) -> Path:
    tools.write(folder / f"{still(3)}.png", pixels)
    return folder


def test_masks_that_nothing_explains_are_refused_with_what_they_hold(tmp_path):
    with pytest.raises(
        UserError, match=r"the masks hold the ids 0, 1, 255, and nothing says.*give --classes=FILE"
    ):
        read(tools.plain(tmp_path / "ids", [3]))
    with pytest.raises(
        UserError, match=r"the masks hold the colours 0/0/0, 0/0/142, 128/64/128, and nothing"
    ):
        read(masks(tmp_path / "colours", tools.colours(3)))
    (tmp_path / "names.txt").write_text("road\ncar\n")
    with pytest.raises(UserError, match="and --classes gives no colours"):
        read(tmp_path / "colours", tmp_path / "names.txt")


def test_colours_are_explained_by_a_list(tmp_path):
    (tmp_path / "names.txt").write_text("# mine\nroad:128,64,128\ncar: 0, 0, 142\nother:0,0,0\n")
    export = read(masks(tmp_path / "colours", tools.colours(3)), tmp_path / "names.txt")
    np.testing.assert_array_equal(export.images[0].read(), np.minimum(label(3), 2))


@pytest.mark.parametrize("name", ["names.txt", "classes.json"])
@pytest.mark.parametrize("place", ["colours", "export/SegmentationClass"])
def test_black_that_a_list_lacks_is_what_nobody_labelled(tmp_path, place, name):
    """Also in a mask without any object, which some tools store in grey."""
    classes = tmp_path / name
    if classes.suffix == ".json":
        entries = [{"name": name, "colour": colour} for name, colour in tools.CLASSES.items()]
        tools.write(classes, {"classes": entries})
    else:
        tools.write(classes, "road:128,64,128\ncar:0,0,142\n")
    masks(tmp_path / place, tools.colours(3))
    tools.write(tmp_path / place / f"{still(4)}.png", np.zeros(SIZE, np.uint8))
    export = read((tmp_path / place).parent, classes)
    np.testing.assert_array_equal(export.images[0].read(), label(3))
    assert (export.images[1].read() == UNLABELLED).all()
    tools.write(tmp_path / place / f"{still(4)}.png", np.full(SIZE, 7, np.uint8))
    with pytest.raises(BadFileError, match="label id 7 "):
        read((tmp_path / place).parent, classes).images[1].read()


@pytest.mark.parametrize("place", ["masks", "export/SegmentationClass"])
def test_ids_stay_ids_beside_a_picture_with_colours(tmp_path, place):
    """An overlay that `predict` has written, say. A mask of class 0 alone holds ids, too."""
    entries = [{"name": name, "colour": colour} for name, colour in tools.CLASSES.items()]
    tools.write(tmp_path / "classes.json", {"classes": entries})
    for number, ids in ((3, car_mask(3)), (4, np.zeros(SIZE))):
        tools.write(tmp_path / place / f"{still(number)}.png", ids.astype(np.uint8))
    tools.write(tmp_path / place / f"{still(5)}.png", tools.colours(5))
    first, second, third = read((tmp_path / place).parent, tmp_path / "classes.json").images
    np.testing.assert_array_equal(first.read(), car_mask(3))
    assert not second.read().any()
    np.testing.assert_array_equal(third.read(), label(5))


def test_black_that_a_list_calls_void_counts_for_nothing(tmp_path):
    entries = [{"name": name, "colour": colour} for name, colour in tools.CLASSES.items()]
    tools.write(tmp_path / "classes.json", {"classes": entries, "void": [255, [0, 0, 0]]})
    tools.write(tmp_path / "names.txt", "road:128,64,128\ncar:0,0,142\nvoid:0,0,0\n")
    folder = masks(tmp_path / "colours", tools.colours(3))
    for name in ("classes.json", "names.txt"):
        ids = read(folder, tmp_path / name).images[0].read()
        np.testing.assert_array_equal(ids, np.where(label(3) == UNLABELLED, VOID, label(3)))


def test_colours_in_vocs_folder_are_explained_by_a_list(tmp_path):
    masks(tmp_path / "export" / "SegmentationClass", tools.colours(3))
    (tmp_path / "names.txt").write_text("nothing:0,0,0\ncar:0,0,142\nroad:128,64,128\n")
    export = read(tmp_path / "export", tmp_path / "names.txt")
    np.testing.assert_array_equal(export.images[0].read(), np.uint8([2, 1, 0])[np.minimum(label(3), 2)])


def test_a_mask_that_breaks_off_is_left_out_by_its_name(tmp_path):
    rng = np.random.default_rng(0)
    path = masks(tmp_path / "masks", rng.integers(0, 2, (200, 200), np.uint8)) / f"{still(3)}.png"
    tools.write(tmp_path / "masks" / f"{still(4)}.png", car_mask(4).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:-1500])
    export = read(tmp_path / "masks")
    assert [image.name for image in export.images] == [f"{still(4)}.png"]
    assert str(export.left_out[0]).startswith(f"{still(3)}.png: is not a readable image")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_two_values_in_every_kind_of_picture(tmp_path, mode):
    picture = Image.fromarray(car_mask(3).astype(np.uint8) * 255).convert(mode if mode != "P" else "L")
    if mode == "P":
        picture = Image.frombytes("P", picture.size, car_mask(3).astype(np.uint8).tobytes())
        picture.putpalette([0, 0, 0, 255, 0, 0])
    (tmp_path / "masks").mkdir()
    picture.save(tmp_path / "masks" / f"{still(3)}.png")
    export = read(tmp_path)
    np.testing.assert_array_equal(export.images[0].read(), car_mask(3))


def test_images_beside_masks_are_no_masks(tmp_path):
    tools.write(tmp_path / "images" / f"{still(3)}.png", np.full((*SIZE, 3), 77, np.uint8))
    masks(tmp_path / "masks", car_mask(3).astype(np.uint8))
    export = read(tmp_path)
    assert [(image.name, image.picture) for image in export.images] == [
        (f"masks/{still(3)}.png", tmp_path / "images" / f"{still(3)}.png")
    ]


@pytest.mark.parametrize("suffix", ["_mask", "_label", "_ids"])
def test_images_that_masks_are_named_after_are_no_masks(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    for name in (still(3), still(4)):  # the latter without a mask
        tools.write(tmp_path / f"{name}.png", noise)
    tools.write(tmp_path / f"{still(3)}{suffix}.png", car_mask(3).astype(np.uint8))
    tools.write(tmp_path / f"{still(5)}{suffix}.png", car_mask(5).astype(np.uint8))
    assert [(image.name, image.picture) for image in read(tmp_path).images] == [
        (f"{still(3)}{suffix}.png", tmp_path / f"{still(3)}.png"),
        (f"{still(5)}{suffix}.png", None),
    ]


def test_void_in_a_list_counts_for_nothing(tmp_path):
    lines = np.where(label(3) == UNLABELLED, 0, label(3) + 1).astype(
        np.uint8
    )  # ids from 1, and 0 for nothing
    (tmp_path / "names.txt").write_text("void\nroad\ncar\n")
    export = read(masks(tmp_path / "masks", lines), tmp_path / "names.txt")
    assert list(export.classes) == ["road", "car"]
    np.testing.assert_array_equal(export.images[0].read(), np.where(lines == 0, VOID, label(3)))


def test_a_list_of_classes_with_a_fault_is_refused(tmp_path):
    path = tmp_path / "classes.txt"
    for text, fault in [
        ("", "names 0 classes"),
        ("road\nroad\n", "classes.txt:2: an earlier class is named road too"),
        ("road:300,0,0\n", "colour 300,0,0: each must be 0 to 255"),
        ("void\n", "names no class"),
        ("0: road\n1: car\n", "classes.txt:1: 0: road: must be NAME or NAME:RED,GREEN,BLUE; ids are lines"),
        ("road\n1,car\n", "classes.txt:2: 1,car: must be NAME"),
        ("road,128,64,128\n", "classes.txt:1: road,128,64,128: must be NAME"),
        ("road 128 64 128\n", "must be NAME"),
        ("road:128,64,128,255\n", "must be NAME"),
        ("road:#804080\n", "must be NAME"),
    ]:
        path.write_text(text)
        with pytest.raises(UserError, match=fault):
            read_class_file(path)
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(UserError, match=r"must be a classes\.json, or text with"):
        read_class_file(tmp_path / "mine.json")


def test_palette_masks_without_a_list_are_refused(tmp_path):
    tools.voc(tmp_path, [3])
    (tmp_path / "class_names.txt").unlink()
    with pytest.raises(UserError, match="give --classes=FILE with a line for each id"):
        read(tmp_path)
    (tmp_path / "SegmentationClass" / "list.txt").write_text("nothing\nroad\ncar\n")
    export = read(tmp_path, tmp_path / "SegmentationClass" / "list.txt")
    assert list(export.classes) == ["nothing", "road", "car"]


def test_label_studios_png_files_alone_name_no_image(tmp_path):
    (tools.label_studio_png(tmp_path, [3]) / "tasks.json").unlink()
    with pytest.raises(UserError, match="name tasks, not images: export JSON too"):
        read(tmp_path)


def test_rectangles_of_label_studio_turn_about_their_corner(tmp_path):
    path = tools.label_studio(tmp_path, [3])
    tasks = json.loads(path.read_text())
    value = {"x": 50, "y": 50, "width": 100 * 10 / WIDTH, "height": 100 * 4 / HEIGHT, "rotation": 90}
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    result = {"id": "c", "type": "rectanglelabels", "value": {**value, "rectanglelabels": ["car"]}, **size}
    tasks[0]["annotations"] = [{"id": 1, "result": [result]}]
    ids = read(tools.write(path, tasks)).images[0].read()
    assert (ids[24:34, 32:36] == 0).all()
    assert (ids == 0).sum() == 40


@pytest.mark.parametrize(
    "address",
    [
        "https://a.s3.amazonaws.com/street_000003.png?X-Amz-Date=1&X-Amz-Signature=0a1b",
        "https://a.com/street_000003.png?name=other.png",
        "/data/local-files/?d=stills/street_000003.png",
        "s3://a/stills%2Fstreet_000003.png",
    ],
)
def test_images_of_label_studio_may_have_a_query(tmp_path, address):
    path = tools.label_studio(tmp_path, [3])
    tasks = json.loads(path.read_text())
    tasks[0]["data"]["image"] = address
    assert [image.name for image in read(tools.write(path, tasks)).images] == ["street_000003.png"]


def test_compressed_run_lengths_without_their_package_say_what_to_install(tmp_path, monkeypatch):
    export = read(tools.coco(tmp_path, [3], tools.compressed))
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(UserError, match="pip install pycocotools"):
        export.images[0].read()


def test_the_writers_of_the_tools_themselves_agree(tmp_path):
    """Label Studio's brush by its own package, where that is installed."""
    brush = pytest.importorskip("label_studio_converter.brush")
    path = tools.label_studio(tmp_path, [3], lambda mask: brush.mask2rle(mask.astype(np.uint8) * 255))
    ids = label(3)
    np.testing.assert_array_equal(read(path).images[0].read(), np.where(ids == UNLABELLED, ids, 1 - ids))
