"""keras_cv backbones hold the contract of build_backbone."""

import keras
import numpy as np
import pytest

from taf_keras.config import BRANCHES, ModelConfig
from taf_keras.errors import UserError
from taf_keras.models.build import build_model
from taf_keras.models.keras_cv_backbones import ARCHITECTURES, build_keras_cv_backbone
from taf_keras.taf.cut import Cut

keras_cv = pytest.importorskip("keras_cv")

# One of each family, the smallest.
FAMILIES = ("resnet18", "resnet18_v2", "mobilenet_v3_small", "efficientnetv2_b0", "densenet121")
# Parameters without the classifier, where keras_cv publishes none or those of an older version: as
# keras.applications has them. DenseNet-121 has 7.98M, of which 1025·1000 are the classifier's.
PARAMETERS = {"densenet121": 7_037_504, "mobilenet_v3_small": 939_120, "mobilenet_v3_large": 2_996_352}


def settings(name: str, **options) -> ModelConfig:
    return ModelConfig(backbone=f"keras_cv:{name}", **options)


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request):
    keras.utils.set_random_seed(0)
    return build_keras_cv_backbone(settings(request.param, batch_norm_momentum=0.8))


@pytest.mark.parametrize("size", [(64, 96), (45, 61), (1, 1)])
def test_levels_have_their_strides(backbone, size):
    levels = backbone(np.zeros((2, *size, 3), np.float32))
    assert list(levels) == ["P2", "P3", "P4", "P5"]
    for level, features in levels.items():
        stride = 2 ** int(level[1])
        assert features.shape[1:3] == tuple(-(-side // stride) for side in size), level


def test_batch_norm_is_synchronised(backbone):
    norms = [x for x in backbone._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    assert len(norms) >= 16
    assert {(norm.synchronized, norm.momentum) for norm in norms} == {(True, 0.8)}


def test_training_samples_nothing(backbone):
    """Dropped blocks would tell two equal frames of a pair apart: δ would not be 0.

    Two calls are compared, not two frames of one: on some CPUs rounding depends on the place in the batch.
    """
    frames = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype(np.float32)
    first, second = (backbone(frames, training=True) for _ in range(2))
    for level, features in first.items():
        np.testing.assert_allclose(features, second[level], rtol=1e-3, atol=1e-3)


def test_preprocessing_scales_to_one():
    backbone = build_keras_cv_backbone(settings("resnet18"))
    scalings = [x for x in backbone._flatten_layers() if isinstance(x, keras.layers.Rescaling)]
    assert [(scaling.scale, scaling.offset) for scaling in scalings] == [(1 / 255, 0)]


@pytest.mark.parametrize("name", [*FAMILIES, "mobilenet_v3_large", "resnet50"])
def test_architectures_are_the_published_ones(name):
    class_name, arguments = ARCHITECTURES[name]
    backbone_class = getattr(keras_cv.models, class_name)
    published = PARAMETERS.get(name) or backbone_class.presets[name]["metadata"]["params"]
    assert backbone_class(**arguments, include_rescaling=True).count_params() == published


def test_every_architecture_has_a_preset():
    for name, (class_name, _) in ARCHITECTURES.items():
        assert name in getattr(keras_cv.models, class_name).presets


@pytest.mark.parametrize("model", BRANCHES)
def test_both_models_build(model):
    network = build_model(settings("resnet18_v2", model=model, head_channels=8), 5)
    images = np.random.default_rng(0).uniform(0, 255, (1, 45, 64, 3)).astype(np.float32)
    assert network(images).shape == (1, 45, 64, 5)
    cut = Cut(network, BRANCHES[model])
    features = cut.features(images)
    assert set(BRANCHES[model]) <= set(features)
    np.testing.assert_array_equal(cut.head(features), network(images))


def test_unknown_name():
    with pytest.raises(UserError, match=r"--backbone=keras_cv:resnet51: .*resnet50, .*efficientnetv2_b0"):
        build_keras_cv_backbone(settings("resnet51"))


def test_weights_file(tmp_path):
    source = keras_cv.models.ResNetBackbone(**ARCHITECTURES["resnet18"][1], include_rescaling=True)
    path = str(tmp_path / "resnet18.weights.h5")
    source.save_weights(path)
    loaded = build_keras_cv_backbone(settings("resnet18", backbone_weights=path))
    for actual, expected in zip(loaded.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)
    with pytest.raises(UserError, match=r"resnet18\.weights\.h5: not the weights of keras_cv:resnet18_v2"):
        build_keras_cv_backbone(settings("resnet18_v2", backbone_weights=path))
    with pytest.raises(UserError, match=r"--backbone_weights=nowhere\.h5: no such file"):
        build_keras_cv_backbone(settings("resnet18", backbone_weights="nowhere.h5"))


def test_imagenet_without_a_network(monkeypatch):
    def fail(preset, **options):
        assert preset == "resnet50_imagenet"
        raise ConnectionError("no route to host\nsecond line")

    monkeypatch.setattr(keras_cv.models.ResNetBackbone, "from_preset", fail)
    with pytest.raises(UserError) as error:
        build_keras_cv_backbone(settings("resnet50", backbone_weights="imagenet"))
    assert str(error.value) == (
        "--backbone_weights=imagenet: the weights of keras_cv:resnet50 cannot be downloaded: no route to "
        "host. Allowed without a network are random and the path of a weights file"
    )


def test_imagenet_where_there_is_none():
    with pytest.raises(UserError, match="keras_cv has none for resnet18; it has them for resnet50, "):
        build_keras_cv_backbone(settings("resnet18", backbone_weights="imagenet"))


def test_imagenet_takes_the_preset(monkeypatch):
    """With a network: from_preset gives the backbone whose weights are kept."""
    preset = keras_cv.models.ResNetBackbone(**ARCHITECTURES["resnet18"][1], include_rescaling=True)
    monkeypatch.setattr(keras_cv.models.ResNetBackbone, "from_preset", lambda name, **options: preset)
    loaded = build_keras_cv_backbone(settings("resnet50", backbone_weights="imagenet"))
    for actual, expected in zip(loaded.get_weights(), preset.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_level_missing(monkeypatch):
    without = property(lambda self: {"P3": "a", "P4": "b", "P5": "c"}, lambda self, levels: None)
    monkeypatch.setattr(keras_cv.models.ResNetBackbone, "pyramid_level_inputs", without)
    with pytest.raises(UserError, match="--backbone=keras_cv:resnet18: it has no pyramid level P2"):
        build_keras_cv_backbone(settings("resnet18"))
