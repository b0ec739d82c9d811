"""Training clips of one class, of which there is nothing to learn."""

import json
from pathlib import Path

import pytest

from taf_keras import pack
from taf_keras.clips.clip import VOID
from taf_keras.config import Config, DataConfig, RuntimeConfig
from taf_keras.datasets import load
from taf_keras.errors import UserError
from taf_keras.inspection.check import load_checked
from taf_keras.inspection.data_report import survey
from taf_keras.training.run import train

ONE = {"name": "object", "id": 255}


def clips(folder: Path, *classes: dict, **void) -> DataConfig:
    """Lists, and a table of classes; there are no images, so that a look at one would be another error."""
    (folder / "classes.json").write_text(json.dumps({"classes": classes, **void}))
    for split in ("train", "val"):
        rows = "".join(f"a,{i},{split}{i}.png,{split}{i}_ids.png\n" for i in range(3))
        (folder / f"{split}.csv").write_text(f"clip,frame,image,label\n{rows}")
    return DataConfig("manifest", str(folder), temporal_context=2)


def refusal(function, *args) -> str:
    with pytest.raises(UserError) as error:
        function(*args)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_one_class_is_refused_before_a_file_is_looked_at(tmp_path):
    """A score of 100 % from the first step is all that it would bring."""
    data = clips(tmp_path, ONE, void=0)
    message = (
        f"{tmp_path}/classes.json: has one class, object, and void: nothing to tell apart; if void is "
        'background, add {"name": "background", "id": 0} and take 0 out of void'
    )
    assert refusal(load_checked, data, "train") == message
    assert refusal(train, Config(data=data, runtime=RuntimeConfig(model_dir=f"{tmp_path}/run"))) == message
    assert refusal(pack.pack, data, tmp_path / "packed", ("train", "val"), 10**6) == message
    assert survey(data, "taf").refusal == message


def test_what_was_trained_and_what_is_imported_may_have_one_class(tmp_path):
    """A run that has ended is evaluated; of `--classes=classes.json` the import adds `--background`."""
    data = clips(tmp_path, ONE, void=0)
    assert len(load.load_split(data, "val").clips) == 3
    assert load.class_table(data).names == ("object",)


@pytest.mark.parametrize(
    ("one", "void", "advice", "remedy", "raw_ids"),
    [
        (
            {"name": "crack", "id": 1},
            {"void": 0},
            'if void is background, give crack "id": 1, add {"name": "background", "id": 0} and take 0 out',
            ({"name": "crack", "id": 1}, {"name": "background", "id": 0}),
            {1: 0, 0: 1, 255: VOID},
        ),
        (
            {"name": "background"},
            {},
            'if void is object, add {"name": "object", "id": 255} and take 255 out of void',
            ({"name": "background"}, {"name": "object", "id": 255}),
            {0: 0, 255: 1},
        ),
        (
            {"name": "crack", "colour": [255, 0, 0]},
            {},
            '{"name": "background", "id": 255, "colour": [0, 0, 0]} and take 255 and [0, 0, 0] out of void',
            (
                {"name": "crack", "colour": [255, 0, 0]},
                {"name": "background", "id": 255, "colour": [0, 0, 0]},
            ),
            {0: 0, 255: 1},
        ),
        ({"name": "crack"}, {"void": []}, "and nothing to tell it from: add the others", None, None),
    ],
)
def test_the_advice_fits_the_table_and_helps(tmp_path, one, void, advice, remedy, raw_ids):
    assert advice in refusal(load.load_split, clips(tmp_path, one, **void), "train")
    if remedy:
        data = clips(tmp_path, *remedy)
        assert load.load_split(data, "train").classes.raw_ids == raw_ids


def test_one_class_that_was_packed_before_is_refused(tmp_path):
    (tmp_path / "packed").mkdir()
    index = {
        "format": 1,
        "temporal_context": 3,
        "classes": {
            "names": ["object"],
            "colours": [[255, 0, 0]],
            "raw_ids": [[255, 0]],
            "raw_colours": None,
        },
        "shards": {},
        "splits": {"train": []},
    }
    (tmp_path / "packed" / "index.json").write_text(json.dumps(index))
    message = refusal(
        load.load_split, DataConfig("packed", f"{tmp_path}/packed", temporal_context=3), "train"
    )
    assert message == (
        f"{tmp_path}/packed: has one class, object: nothing to tell apart; pack two classes or more"
    )
