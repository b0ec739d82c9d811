"""What a configuration means on the data that is there: a manifest without a val split trains without one."""

import json

import cv2
import numpy as np
import pytest

from taf_keras.config import Config, DataConfig, RuntimeConfig, TrainingConfig
from taf_keras.datasets.load import evaluation_split
from taf_keras.errors import UserError
from taf_keras.storage.run import Run
from taf_keras.training.resolve import resolve


@pytest.fixture
def manifest(tmp_path):
    """train.csv alone, of as many labelled frames as the test asks for."""

    def write(labels: int) -> DataConfig:
        rows = [f"quay,{n},{n}.png,{n}_ids.png" for n in range(0, 100 * labels, 100)]
        (tmp_path / "train.csv").write_text("\n".join(["clip,frame,image,label", *rows]))
        (tmp_path / "classes.json").write_text(json.dumps({"classes": [{"name": "a"}, {"name": "b"}]}))
        for n in range(0, 100 * labels, 100):
            cv2.imwrite(f"{tmp_path}/{n}.png", np.zeros((16, 16, 3), np.uint8))
            cv2.imwrite(f"{tmp_path}/{n}_ids.png", np.zeros((16, 16), np.uint8))
        return DataConfig("manifest", str(tmp_path))

    return write


def resolved(data: DataConfig, tmp_path, **training) -> Config:
    config = Config(data=data, training=TrainingConfig(**training), runtime=RuntimeConfig(validations=7))
    return resolve(config, Run(tmp_path / "run"))


def test_one_label_trains_without_validation_and_says_so(manifest, tmp_path, capsys):
    data = manifest(1)
    assert resolved(data, tmp_path).runtime.validations == 0
    assert (
        capsys.readouterr().out == f"no validations: {tmp_path} has no val split; metrics.json is of train\n"
    )
    assert evaluation_split(data) == "train"


def test_five_labels_are_enough_to_validate(manifest, tmp_path, capsys):
    data = manifest(5)
    assert resolved(data, tmp_path).runtime.validations == 7
    assert capsys.readouterr().out == ""
    assert evaluation_split(data) == "val"


def test_the_best_checkpoint_cannot_be_kept_without_validation(manifest, tmp_path):
    with pytest.raises(UserError, match=r"keep_best=miou: needs validations, and .* has no val split"):
        resolved(manifest(1), tmp_path, keep_best="miou")
