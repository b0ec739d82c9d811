"""What a configuration means on the data that is there: a manifest without a val split trains without one."""

import json

import cv2
import numpy as np
import pytest

from taf_keras.config import (
    Config,
    DataConfig,
    PartnerLabelConfig,
    RuntimeConfig,
    TAFConfig,
    TrainingConfig,
)
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


def test_a_run_does_not_go_on_when_its_classes_have_changed(manifest, tmp_path):
    """A label is the number of a class: in another order it would be another one's."""
    data = manifest(5)
    config = Config(data=data, runtime=RuntimeConfig(validations=7))
    run = Run(tmp_path / "run")
    run.claim(config, ("a", "b")).close()
    assert resolve(config, run) == config
    (tmp_path / "classes.json").write_text(json.dumps({"classes": [{"name": "b"}, {"name": "a"}]}))
    with pytest.raises(UserError, match="run: was trained on other classes: class 0 is a there, and b in"):
        resolve(config, run)


def test_a_teacher_of_other_classes_is_refused(manifest, tmp_path):
    data = manifest(5)
    teacher = Run(tmp_path / "teacher")
    teacher.claim(Config(data=data), ("b", "a")).close()
    classes = {"per_class_iou": {"b": 1, "a": 1}, "per_class_accuracy": {}}
    teacher.metrics_file.write_text(
        json.dumps({"miou": 1, "pixel_accuracy": 1, "split": "val", "frames": 1} | classes)
    )
    config = Config(
        data=data,
        taf=TAFConfig(method="pseudo"),
        partner_labels=PartnerLabelConfig(teacher=str(teacher.folder)),
    )
    with pytest.raises(
        UserError, match="teacher: was trained on other classes: class 0 is b there, and a in"
    ):
        resolve(config, Run(tmp_path / "run"))
