"""What `taf_keras.label` says at its end."""

from pathlib import Path
from types import SimpleNamespace

from taf_keras.annotation.label_folder import LabelFolder
from taf_keras.annotation.next_steps import report


def said(tmp_path, capsys, *stills: str) -> list[str]:
    """After a call that has added a still of street.mp4 to these."""
    new = "street_000012.png"
    (tmp_path / "images").mkdir()
    for name in (*stills, new):
        (tmp_path / "images" / name).touch()
    picked = {12: {"seconds": "0.4"}}
    street = SimpleNamespace(name="street", path=Path("street.mp4"), picked=picked, measures=range(9))
    report([street], LabelFolder(tmp_path), 1, [new], has_prelabels=False)
    return capsys.readouterr().out.splitlines()


COMMAND = "      python -m taf_keras.import_labels EXPORT --video=street.mp4 --output_dir=my_data"


def test_videos_of_earlier_stills_are_named(tmp_path, capsys):
    *_, command, more = said(tmp_path, capsys, "park_000003.png", "harbour_000004.png", "street_000005.png")
    assert command == COMMAND
    assert more == "      with a --video=FILE for harbour, park too, which earlier stills are of"


def test_videos_of_this_call_are_in_the_command(tmp_path, capsys):
    assert said(tmp_path, capsys, "street_000005.png")[-1] == COMMAND
