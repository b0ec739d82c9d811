"""Exports come from strangers: each fault is one line, and nothing is written where it should not be."""

import contextlib
import json
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tool_exports as tools

from taf_keras.errors import BadFileError, UserError
from taf_keras.label_formats import open_export, picture_masks
from taf_keras.label_formats.detect import detected, read_export
from taf_keras.label_formats.open_export import opened, read_json, read_xml


def refusal(function, *arguments) -> str:
    with pytest.raises(UserError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def read_first(place: Path) -> np.ndarray:
    with opened(place) as folder:
        export = read_export(folder, detected(folder), None)
        return export.images[0].read()


def zipped(path: Path, members: dict[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def open_zip(path: Path) -> list[str]:
    with opened(path) as folder:
        return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def test_a_zip_is_read_as_its_folder_is(tmp_path):
    tools.cvat_masks(tmp_path / "export", [3])
    members = {
        f"task/{path.relative_to(tmp_path / 'export').as_posix()}": path.read_bytes()
        for path in (tmp_path / "export").rglob("*")
        if path.is_file()
    }
    path = zipped(tmp_path / "export.zip", members | {"__MACOSX/._labelmap.txt": b"x", "task/run.sh": b"rm"})
    np.testing.assert_array_equal(read_first(path), tools.label(3))
    assert not any("MACOSX" in name or name.endswith(".sh") for name in open_zip(path))


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:\\evil.txt"]
)
def test_paths_out_of_a_zip_are_refused(tmp_path, name):
    path = zipped(tmp_path / "slip.zip", {"labelmap.txt": "road:1,2,3::", name: "evil"})
    assert "a path out of its own folder" in refusal(open_zip, path)
    assert not list(tmp_path.rglob("evil.txt"))
    assert not list(tmp_path.parent.glob("evil.txt"))


def test_a_zip_that_would_fill_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(open_export, "_SMALL", 1000)
    path = zipped(tmp_path / "bomb.zip", {"a.json": b"0" * 5_000_000})
    assert "bytes would become 5,000,000: not unpacked" in refusal(open_zip, path)
    monkeypatch.setattr(open_export, "_MOST_FILES", 1)
    path = zipped(tmp_path / "many.zip", {"a.txt": b"a", "b.txt": b"b"})
    assert "holds 2 files" in refusal(open_zip, path)


def test_a_zip_that_is_damaged_or_missing_is_refused(tmp_path):
    path = zipped(tmp_path / "half.zip", {"a.txt": b"a" * 1000})
    path.write_bytes(path.read_bytes()[:-30])
    assert "is not a whole ZIP file" in refusal(open_zip, path)
    assert "No such file" in refusal(open_zip, tmp_path / "none.zip")
    data = bytearray(zipped(tmp_path / "secret.zip", {"a.txt": b"a"}).read_bytes())
    for at in (data.find(b"PK\x03\x04") + 6, data.find(b"PK\x01\x02") + 8):
        data[at] |= 1  # encrypted
    (tmp_path / "secret.zip").write_bytes(data)
    assert re.search("cannot be unpacked: .*(password|encrypted)", refusal(open_zip, tmp_path / "secret.zip"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_zip_with_damaged_data_is_refused(tmp_path, compression):
    pixels = np.random.default_rng(0).integers(0, 20, 3000, np.uint8).tobytes()
    path = zipped(tmp_path / "hit.zip", {"a.png": pixels}, compression)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    data[60:100] ^= 0x5A
    path.write_bytes(data.tobytes())
    assert "hit.zip: is not a whole ZIP file" in refusal(open_zip, path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_in_xml_are_refused(tmp_path, encoding):
    path = tmp_path / "annotations.xml"
    text = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb">]><annotations>&b;</annotations>'
    path.write_bytes(text.encode(encoding))
    assert re.search("has a DOCTYPE|is not UTF-8", refusal(read_xml, path))


def test_damaged_text_is_refused_with_its_place(tmp_path):
    path = tmp_path / "a.json"
    for text, fault in [
        ("{", "a.json:1: is not JSON"),
        ("[" * 100_000, "cannot be read"),
        ("9" * 5000, "cannot be"),
    ]:
        path.write_text(text)
        assert fault in refusal(read_json, path)
    (tmp_path / "a.xml").write_text("<annotations>")
    assert "a.xml: is not XML" in refusal(read_xml, tmp_path / "a.xml")
    (tmp_path / "b.xml").write_text("<annotation/>")
    assert "not of CVAT: it begins with <annotation>" in refusal(read_first, tmp_path / "b.xml")


def test_a_folder_or_file_of_no_known_kind_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    assert "is no export that is known, which are CVAT's segmentation masks" in refusal(detected, tmp_path)
    (tmp_path / "a.json").write_text("{}")
    assert "a.json: is no export that is known" in refusal(detected, tmp_path / "a.json")


def huge_png() -> bytes:
    """60,000×60,000 px of grey, in 45 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def test_images_that_would_fill_the_memory_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    (tmp_path / "huge.png").write_bytes(huge_png())
    monkeypatch.setattr(picture_masks, "read_label", None)
    read = picture_masks.reader(tmp_path / "huge.png", ["road"], {0: 0})
    for function in (read, lambda: picture_masks.values(tmp_path / "huge.png")):
        with pytest.raises(BadFileError, match=r"huge\.png: is not a readable image"):
            function()


@pytest.mark.parametrize(
    ("write", "change", "fault"),
    [
        (tools.coco, ('"height": 48', '"height": 4800000'), "an image of 4800000x72 px is not read"),
        (tools.coco, ('"category_id": 2', '"category_id": 9'), "has no 9"),
        (tools.coco, ("[[", "[[[["), ""),
        (tools.cvat_xml, ("width='72'", "width='-72'"), "an image of 48x-72 px is not read"),
        (tools.cvat_xml, ("label='car'", "label='cat'"), "label 'cat' is not in its list of labels"),
        (tools.cvat_xml, ("0.00,24.00", "0.00"), "is not as CVAT writes it"),
        (tools.cvat_xml, ("0.00,24.00", "nan,24.00"), "a point that is no number"),
        (tools.labelme, ('"imageHeight": 48', '"imageHeight": null'), "is not as LabelMe writes it"),
        (tools.supervisely, ('"origin": [', '"origin": ["x", '), "is not as Supervisely writes it"),
        (tools.supervisely, ('"data": "eJ', '"data": "AA'), "is not as Supervisely writes it"),
        (tools.label_studio, ('"rle": [0, 0', '"rle": [9, 9'), "a brush of 151"),
        (tools.label_studio, ('"image_rotation": 0', '"image_rotation": 90'), "it is turned by 90°"),
    ],
)
def test_what_is_not_as_its_tool_writes_it_is_named_on_one_line(tmp_path, write, change, fault):
    write(tmp_path, [3])
    path = next(
        p for p in sorted(tmp_path.rglob("*")) if p.suffix in (".json", ".xml") and p.name != "meta.json"
    )
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    try:
        export = read_export(tmp_path, detected(tmp_path), None)
        said = [str(error) for error in export.left_out]
        for image in export.images:
            image.read()
    except UserError as error:
        said = [str(error)]
    assert said
    for line in said:
        assert fault in line
        assert "\n" not in line
        assert path.name in line or "street_000" in line


def test_json_that_says_the_same_thing_in_other_types_ends_in_one_line(tmp_path):
    content = json.loads(tools.coco(tmp_path, [3]).read_text())
    for key in content:
        for value in (None, 3, "text", [3], {"a": 1}, [[]], [{}]):
            path = tools.write(tmp_path / "changed.json", content | {key: value})
            with contextlib.suppress(UserError):  # anything else would be a traceback
                for image in read_export(path, "coco", None).images:
                    image.read()


@pytest.mark.parametrize(
    ("write", "table"),
    [
        (tools.cvat_masks, "labelmap.txt"),
        (tools.camvid, "label_colors.txt"),
        (tools.supervisely, "meta.json"),
    ],
)
def test_a_format_without_its_table_is_refused(tmp_path, write, table):
    folder = write(tmp_path / "export", [3])
    next(folder.rglob(table)).unlink()
    kind = "cvat_mask" if write is tools.cvat_masks else write.__name__
    with pytest.raises(UserError, match=f"export: has no {table}, which "):
        read_export(folder, kind, None)
