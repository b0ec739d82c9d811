"""The name of an image tells its frame, whatever tools put around it."""

import unicodedata

import pytest

from taf_keras.annotation.frame_names import bare_numbers, frame_of, frames_in, read_index
from taf_keras.errors import UserError


@pytest.mark.parametrize(
    "name",
    [
        "street_000120.png",
        "street_000120",
        "some/folder/street_000120.JPG",
        "folder\\street_000120.png",
        "1f2e3d4c-street_000120.png",  # Label Studio
        "street_000120_png.rf.0a1b2c3d4e5f.png",  # Roboflow
        "street_000120_png.rf.0a1b2c3d4e5f_mask.png",
        "street_000120_mask.png",
        "street_000120_ids.png",
        "street_120.png",
        "street/000120.jpg",
    ],
)
def test_names_of_a_video_and_a_number(name):
    assert frame_of(name, ["street", "harbour"]) == ("street", 120)


@pytest.mark.parametrize("name", ["frame_000007.PNG", "frame_000007", "000007.png", "7.png"])
def test_of_one_video_a_number_is_enough(name):
    assert frame_of(name, ["street"]) == ("street", 7)
    assert frame_of(name, ["street", "harbour"]) is None


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_an_umlaut_may_be_one_character_or_two(forms, tmp_path):
    """macOS writes two in the names of files."""
    video, other = (unicodedata.normalize(form, "straße_süd") for form in forms)
    for name in (f"{other}_000120.png", f"{other}/000120.png"):
        assert frame_of(name, [video, "harbour"]) == (video, 120)
    assert not bare_numbers([f"{other}/000020.png"], [video])
    (tmp_path / "index.csv").write_text(f"image,video,frame\n{other}.png,{other},12\n", encoding="utf-8")
    assert frame_of(f"{video}.png", [video], read_index(tmp_path / "index.csv")) == (video, 12)


def test_where_folders_name_videos_other_numbers_are_nameless():
    assert bare_numbers(["000020.png", "masks/000030.png"], ["street"])
    assert not bare_numbers(["park/000020.png", "street\\000030.png"], ["street"])
    assert frame_of("park/000020.png", ["street"], bare=False) is None
    assert frame_of("street/000030.png", ["street"], bare=False) == ("street", 30)


@pytest.mark.parametrize(
    "name",
    [
        "my-street_000120.png",
        "street2_000120.png",
        "street_12a.png",
        "street_.png",
        "street.png",
        "photo.png",
    ],
)
def test_other_names_tell_nothing(name):
    assert frame_of(name, ["street"]) is None


def test_a_name_that_begins_as_another_does_is_its_own():
    assert frame_of("street_2_000120.png", ["street", "street_2"]) == ("street_2", 120)
    assert frame_of("street_2_000120.png", ["street"]) is None


def test_an_index_explains_other_names(tmp_path):
    (tmp_path / "index.csv").write_text("image,video,frame,seconds\nimages/a.png,street,12,0.4\n")
    index = read_index(tmp_path / "index.csv")
    assert frame_of("masks/a.png", ["street"], index) == ("street", 12)
    assert frame_of("1f2e3d4c-a.jpg", ["street"], index) == ("street", 12)
    (tmp_path / "index.csv").write_text("image,video,frame\nimages/a.png,street,x\n")
    with pytest.raises(UserError, match="is damaged"):
        read_index(tmp_path / "index.csv")
    (tmp_path / "index.csv").write_text("file\na.png\n")
    with pytest.raises(UserError, match="must have the columns image, video and frame"):
        read_index(tmp_path / "index.csv")


def test_frames_of_a_folder(tmp_path):
    for name in ("images/street_000003.png", "harbour/000004.jpg", "harbour/000005.jpg", "sheet.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = frames_in(tmp_path)
    assert {video: list(of) for video, of in found.items()} == {"harbour": [4, 5], "street": [3]}
    for name in (".thumbnails/street_000003.png", "__MACOSX/images/street_000009.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert frames_in(tmp_path) == found
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt/street_000003.png").touch()
    said = r"gt.street_000003.png and images.street_000003.png are both named as frame 3 of street"
    with pytest.raises(UserError, match=said):
        frames_in(tmp_path)
    with pytest.raises(UserError, match="holds no image named VIDEO_NNNNNN"):
        frames_in(tmp_path / "nothing")
