import json
import math
from dataclasses import replace

import pytest

from taf_keras.config import Config, RuntimeConfig, TAFConfig
from taf_keras.errors import UserError
from taf_keras.storage.model_dir import ModelDir, write_json


def test_a_config_survives_the_round_trip_with_infinite_rates(tmp_path):
    config = Config(taf=TAFConfig(change_rates=(0.0, 1e-6, 1e-4, math.inf, math.inf)))
    run = ModelDir(str(tmp_path / "run"))
    run.claim(config)
    assert run.read_config() == config
    versions = json.loads(run.config.read_text())["versions"]
    assert versions["keras"][0] == "3"


def test_only_the_same_settings_may_use_a_folder_again(tmp_path):
    config = Config()
    run = ModelDir(str(tmp_path / "run"))
    run.claim(config)
    run.check(replace(config, runtime=RuntimeConfig(log_every=3)))  # how it runs may differ
    with pytest.raises(UserError, match=r"training\.seed=0, now 1"):
        run.check(replace(config, training=replace(config.training, seed=1)))


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="not empty"):
        ModelDir(str(tmp_path)).check(Config())
    with pytest.raises(UserError, match="is a file"):
        ModelDir(str(tmp_path / "thesis.tex")).check(Config())


@pytest.mark.parametrize("text", ["", "{", '{"data": 3}', "[]", '{"data": {"dataset": []}}'])
def test_a_damaged_config_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config"):
        ModelDir(str(tmp_path)).read_config()


def test_json_is_strict(tmp_path):
    write_json(tmp_path / "x.json", {"a": math.nan, "b": [math.inf, 1.5]})
    assert json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail) == {
        "a": None,
        "b": ["inf", 1.5],
    }
