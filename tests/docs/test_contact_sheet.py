"""The picture of the synthetic clips in the README."""

import numpy as np
import pytest

from docs import contact_sheet
from taf_keras.clips.decode import read_image
from taf_keras.config import DataConfig
from taf_keras.datasets.load import class_table


def test_the_sheet_has_frames_above_labels_for_each_split(tmp_path):
    data = DataConfig(data_dir=str(tmp_path), train_clips=2, val_clips=2, test_clips=2)
    contact_sheet.write_sheet(tmp_path / "sheets" / "clips.png", data, 1)
    sheet = read_image(str(tmp_path / "sheets" / "clips.png"))
    assert sheet.shape == (3 * 2 * 120, 7 * 160, 3)  # frames of 96x128 at a width of 160
    colours = {(0, 0, 0), *class_table(data).colours}
    for row, pixels in enumerate(np.split(sheet, 6)):
        found = set(map(tuple, pixels.reshape(-1, 3).tolist()))
        assert (found <= colours) == (row % 2 == 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clip=32"], "error: --clip=32: allowed are 0 to 31, which every split has\n"),
        (["--clip=-1"], "error: --clip=-1: allowed are 0 to 31, which every split has\n"),
        (["--output=clips.foo"], "error: --output=clips.foo: must end in .jpg or .png\n"),
    ],
)
def test_a_sheet_that_cannot_be_is_refused_before_clips_are_made(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        contact_sheet.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err == message
