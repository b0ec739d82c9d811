import math
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
from taf_examples import halves

from taf_keras.config import BRANCHES, ModelConfig
from taf_keras.errors import UserError
from taf_keras.models.backbones import build_backbone
from taf_keras.models.build import build_model, dtype_policy
from taf_keras.models.layers import ResizeLike
from taf_keras.pipeline.augment import PADDING_RGB

CLASSES, MOMENTUM = 5, 0.8  # a momentum that is nobody's default


def tiny(model="deeplabv3plus", backbone="mobilenetv2", **settings) -> ModelConfig:
    if backbone == "mobilenetv2":
        settings = {"backbone_width": 0.35} | settings
    return ModelConfig(
        model=model, backbone=backbone, head_channels=8, batch_norm_momentum=MOMENTUM, **settings
    )


def network(model="deeplabv3plus", backbone="mobilenetv2", output_stride=None) -> keras.Model:
    return _network(tiny(model, backbone, output_stride=output_stride))


@cache  # building takes seconds
def _network(config: ModelConfig) -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_model(config, CLASSES)


@cache
def backbone_at(output_stride: int, backbone: str) -> keras.Model:
    """One backbone at several output strides: all with the same random weights."""
    built = build_backbone(tiny(backbone=backbone, output_stride=output_stride))
    rng = np.random.default_rng(0)
    for variable in built.variables:
        if variable.path.endswith("kernel"):
            fan_in = math.prod(variable.shape[:-1]) if "depthwise" not in variable.path else 9
            value = rng.normal(0, math.sqrt(2 / fan_in), variable.shape)
        elif variable.path.endswith(("gamma", "variance")):
            value = rng.uniform(0.5, 1.5, variable.shape)
        else:  # offsets, so that the zeros of the padding are not what lies beside them
            value = rng.normal(0, 0.2, variable.shape)
        variable.assign(value)
    return built


def outputs(model, inputs) -> dict[str, np.ndarray]:
    return {name: x.numpy() for name, x in model(inputs, training=False).items()}


def random_image(height: int, width: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (count, height, width, 3)).astype(np.float32)


def every_layer(model: keras.Model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from every_layer(layer)
        else:
            yield layer


def assert_close(actual, expected):
    """Equal but for float32's rounding, in units of the largest feature."""
    assert actual.shape == expected.shape
    assert expected.std() > 0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


MODELS = [
    ("deeplabv3plus", "mobilenetv2", 8),
    ("deeplabv3plus", "mobilenetv2", 16),
    ("deeplabv3plus", "mobilenetv2", 32),
    ("fcn8s", "mobilenetv2", 32),
    ("deeplabv3plus", "resnet50", 16),
]


# --- Branches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(96, 128), (90, 121)])
@pytest.mark.parametrize(("model", "backbone", "output_stride"), MODELS)
def test_branches_have_their_names_and_strides(model, backbone, output_stride, size):
    """A stride rounds up: the last cell may lie partly outside the image."""
    built = network(model, backbone, output_stride)
    names, encoder, _ = halves(built)
    features = dict(zip(names, encoder(random_image(*size), training=False), strict=True))
    strides = {"stride32": 32, "stride16": 16, "stride8": 8, "low_level": 4}
    strides |= dict.fromkeys(("atrous18", "atrous12", "atrous6", "conv1x1"), output_stride)
    skips = {"low_level"} if model == "deeplabv3plus" else set()
    assert set(features) == set(BRANCHES[model]) | skips
    for name, x in features.items():
        expected = tuple(-(-side // strides[name]) for side in size) if name in strides else (1, 1)
        assert x.shape[1:3] == expected, name
    # What is swapped for them: an affine map of each.
    layers = {name: built.get_layer(layer) for name, layer in BRANCHES[model].items()}
    swapped = keras.Model(built.input, {name: layer.output for name, layer in layers.items()})
    for name, x in outputs(swapped, random_image(*size)).items():
        np.testing.assert_array_equal(x, layers[name](features[name]), err_msg=name)
        assert x.shape[1:3] == features[name].shape[1:3]
        assert layers[name].activation is keras.activations.linear
        assert layers[name].kernel_size == (1, 1)


@pytest.mark.parametrize(("model", "backbone", "output_stride"), MODELS)
def test_any_size_from_one_pixel_up(model, backbone, output_stride):
    built = network(model, backbone, output_stride)
    for size in ((1, 1), (2, 33), (47, 5)):
        logits = built(random_image(*size, count=2), training=False).numpy()
        assert logits.shape == (2, *size, CLASSES)
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()


@pytest.mark.parametrize("model", list(BRANCHES))
def test_the_model_is_its_parts(model):
    """Head after the features, then upsampled: no layer besides."""
    built, image = network(model), random_image(40, 56)
    _, encoder, head = halves(built)
    logits = head(encoder(image, training=False), training=False)
    np.testing.assert_array_equal(ResizeLike()([logits, image]), built(image, training=False))
    parts = [variable.path for part in (encoder, head) for variable in part.variables]
    assert sorted(variable.path for variable in built.variables) == sorted(parts)


def test_the_projections_are_one_convolution_of_the_concatenated_branches():
    """DeepLabV3+ projects the concatenation by 1×1; here each branch has its slice of that kernel."""
    built, rng = network(), np.random.default_rng(2)
    features = {
        name: rng.normal(size=(2, *((1, 1) if name == "image_pool" else (3, 4)), 8)).astype(np.float32)
        for name in BRANCHES["deeplabv3plus"]
    }
    wide = np.concatenate([np.broadcast_to(x, (2, 3, 4, 8)) for x in features.values()], axis=-1)
    layers = [built.get_layer(layer) for layer in BRANCHES["deeplabv3plus"].values()]
    kernels = [layer.kernel.numpy()[0, 0] for layer in layers]
    expected = wide.astype(np.float64) @ np.concatenate(kernels).astype(np.float64)

    total = keras.Model([layer.input for layer in layers], built.get_layer("projection_sum").output)
    assert_close(total(list(features.values())).numpy(), expected)


@pytest.mark.parametrize("model", list(BRANCHES))
def test_logits_are_float32_in_half_precision(model):
    with dtype_policy("mixed_float16"):
        built = build_model(tiny(model), CLASSES)
    _, encoder, head = halves(built)
    swapped = [built.get_layer(layer).output for layer in BRANCHES[model].values()]
    assert {x.dtype for x in encoder.output + swapped} == {"float16"}
    assert head.output.dtype == "float32"
    assert built.output.dtype == "float32"
    assert built(random_image(32, 32), training=False).dtype == "float32"


@pytest.mark.parametrize("model", list(BRANCHES))
def test_a_saved_model_is_the_same_model(model, tmp_path):
    built, image = network(model), random_image(37, 50)
    built.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(image, training=False), built(image, training=False))
    (names, encoder, _), (_, original, _) = halves(again), halves(built)
    for name, x, expected in zip(names, encoder(image), original(image), strict=True):
        np.testing.assert_array_equal(x, expected, err_msg=name)


def test_a_resize_keeps_pixel_centres():
    """Twice the size: 0 and 4 at centres 0.5 and 2.5 … become 0, 1, 3, 4. Its dtype stays."""
    x = np.float16([0, 4]).reshape(1, 1, 2, 1)
    resized = ResizeLike(dtype="float16")([x, np.zeros((1, 1, 4, 1), np.float16)])
    np.testing.assert_array_equal(resized, np.float16([0, 1, 3, 4]).reshape(1, 1, 4, 1))
    assert resized.dtype == "float16"


# --- Backbones --------------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", ["mobilenetv2", "resnet50"])
def test_batch_norm_is_synchronised_and_has_the_momentum_of_the_config(backbone):
    layers = list(every_layer(network(backbone=backbone, output_stride=16)))
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) > 50
    assert {(layer.synchronized, layer.momentum) for layer in norms} == {(True, MOMENTUM)}


def test_colours_arrive_as_the_imagenet_weights_expect_them():
    colours = np.float32([(0, 127.5, 255), (255, 116.779, 0), PADDING_RGB]).reshape(1, 1, 3, 3)
    seen = {}
    for backbone in ("mobilenetv2", "resnet50"):
        built = network("deeplabv3plus", backbone, 16)
        preprocess = keras.Model(built.input, built.get_layer("preprocess").output)
        seen[backbone] = preprocess(colours).numpy()[0, 0]
    np.testing.assert_allclose(seen["mobilenetv2"][0], [-1, 0, 1], atol=1e-6)
    # Caffe's: BGR, less the mean of each.
    np.testing.assert_allclose(seen["resnet50"][1], [-103.939, 0, 255 - 123.68], atol=1e-4)
    # Padding is close to zero: within a level of ImageNet's mean, which is not quite MobileNet's 127.5.
    assert np.abs(seen["resnet50"][2]).max() < 1
    assert np.abs(seen["mobilenetv2"][2]).max() < 0.2


def test_mobilenetv2_at_stride_32_is_that_of_keras():
    """ "same" padding equals Keras' explicit one where every level has an even size, as 64×96 has."""
    built, image = backbone_at(32, "mobilenetv2"), random_image(64, 96)
    original = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(None, None, 3), alpha=0.35
    )
    for layer in every_layer(built):
        if layer.weights:
            original.get_layer(layer.name).set_weights(layer.get_weights())
    # Strides 4, 8, 16 and 32 end with these blocks (Sandler et al. 2018, Table 2).
    names = {"P2": "block_2_add", "P3": "block_5_add", "P4": "block_12_add", "P5": "block_16_project_BN"}
    levels = keras.Model(original.input, {p: original.get_layer(name).output for p, name in names.items()})
    expected = outputs(levels, image / 127.5 - 1)
    for level, x in outputs(built, image).items():
        assert_close(x, expected[level])


def kept_pixels(x: np.ndarray, stride: int, output_stride: int) -> np.ndarray:
    """The pixels that strides instead of dilation would have kept, of features at `output_stride`.

    "same" padding puts a stride of 2 on the odd pixels of an even side, and on the even ones of an odd side.
    """
    while output_stride < stride:
        rows, columns = (1 - x.shape[axis] % 2 for axis in (1, 2))
        x, output_stride = x[:, rows::2, columns::2], 2 * output_stride
    return x


@pytest.mark.parametrize("size", [(96, 160), (90, 121)])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilation_keeps_the_features_of_mobilenetv2(output_stride, size):
    """A dilated stage computes what the strided one computes, and the pixels between; borders included."""
    image = random_image(*size)
    fine, coarse = (outputs(backbone_at(s, "mobilenetv2"), image) for s in (output_stride, 32))
    for level, stride in (("P2", 4), ("P3", 8), ("P4", 16), ("P5", 32)):
        assert_close(kept_pixels(fine[level], stride, output_stride), coarse[level])


def test_dilation_keeps_the_features_of_resnet50():
    """Keras' ResNet-50 strides in 1×1 convolutions, which keep the even pixels."""
    image = random_image(90, 121)
    fine, coarse = (outputs(backbone_at(output_stride, "resnet50"), image) for output_stride in (8, 32))
    assert_close(fine["P4"][:, ::2, ::2], coarse["P4"])
    assert_close(fine["P5"][:, ::4, ::4], coarse["P5"])


@pytest.mark.parametrize(("output_stride", "rates"), [(8, (2, 4)), (32, (1, 1))])
def test_resnet50_dilates_its_last_stages(output_stride, rates):
    """Rates of the 3×3 convolutions of stages 4 and 5 after their first block; strides of the whole."""
    layers = {layer.name: layer for layer in every_layer(backbone_at(output_stride, "resnet50"))}
    for stage, blocks, stride, rate in ((4, 6, 16, rates[0]), (5, 3, 32, rates[1])):
        for block in range(2, blocks + 1):
            assert layers[f"conv{stage}_block{block}_2_conv"].dilation_rate == (rate, rate)
        step = 2 if stride <= output_stride else 1
        for conv in (0, 1):  # the shortcut and the first 1×1
            assert layers[f"conv{stage}_block1_{conv}_conv"].strides == (step, step)
    early = [layer for name, layer in layers.items() if name.startswith(("conv1", "conv2", "conv3"))]
    assert {getattr(layer, "dilation_rate", (1, 1)) for layer in early} == {(1, 1)}


# --- Weights ----------------------------------------------------------------------------------------


def mobilenetv2(alpha: float = 0.35) -> keras.Model:
    return keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(None, None, 3), alpha=alpha
    )


def assert_same_weights(backbone: keras.Model, original: keras.Model):
    layers = [layer for layer in every_layer(backbone) if layer.weights]
    assert len(layers) > 100
    for layer in layers:
        for own, expected in zip(
            layer.get_weights(), original.get_layer(layer.name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(own, expected)


def test_a_weights_file_is_loaded(tmp_path):
    original = mobilenetv2()
    path = str(tmp_path / "own.weights.h5")
    original.save_weights(path)
    assert_same_weights(build_backbone(tiny(backbone_weights=path)), original)


def bad_weights(folder: Path):
    """Paths of files that are no weights of MobileNetV2 of width 0.35."""
    wider = folder / "wider.weights.h5"
    mobilenetv2(0.5).save_weights(wider)
    yield wider
    truncated = folder / "truncated.weights.h5"
    truncated.write_bytes(wider.read_bytes()[:20000])
    yield truncated
    other = folder / "other.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(other)
    yield other
    text = folder / "weights.txt"
    text.write_text("not weights")
    yield text


def assert_refused(path: Path):
    with pytest.raises(UserError) as caught:
        build_backbone(tiny(backbone_weights=str(path)))
    start = f"--backbone_weights={path}: not the weights of mobilenetv2 (width 0.35, include_top=False): "
    assert str(caught.value).startswith(start)
    assert len(str(caught.value)) > len(start)
    assert "\n" not in str(caught.value)


def test_weights_of_another_backbone_are_refused(tmp_path):
    for path in bad_weights(tmp_path):
        assert_refused(path)


def test_a_damaged_keras_file_is_refused(tmp_path):
    path = tmp_path / "damaged.keras"
    path.write_text("not a zip file")
    assert_refused(path)


def test_a_missing_weights_file_is_refused(tmp_path):
    path = tmp_path / "none.weights.h5"
    with pytest.raises(
        UserError, match="no such file; allowed are random, imagenet, auto and the path"
    ) as caught:
        build_backbone(tiny(backbone_weights=str(path)))
    assert str(caught.value).startswith(f"--backbone_weights={path}: ")
    with pytest.raises(UserError, match="no such file"):
        build_backbone(tiny(backbone_weights=str(tmp_path)))  # a folder


def without_network(monkeypatch, name: str, error: Exception):
    """Keras' application `name` fails with `error` where it would download."""
    real = getattr(keras.applications, name)

    def application(*args, weights, **settings):
        if weights == "imagenet":
            raise error
        return real(*args, weights=weights, **settings)

    monkeypatch.setattr(keras.applications, name, application)


BACKBONES = [("mobilenetv2", "MobileNetV2"), ("resnet50", "ResNet50")]


@pytest.mark.parametrize(("backbone", "application"), BACKBONES)
def test_imagenet_weights_without_a_network_are_refused(backbone, application, monkeypatch):
    without_network(monkeypatch, application, OSError("no route to host\nsecond line"))
    with pytest.raises(UserError) as caught:
        build_backbone(tiny(backbone=backbone, backbone_weights="imagenet"))
    message = str(caught.value)
    assert message.startswith(f"--backbone_weights=imagenet: the weights of {backbone} (width ")
    assert "no route to host. Allowed without a network are random and the path" in message
    assert "\n" not in message


def test_an_error_without_a_message_is_refused_too(monkeypatch):
    without_network(monkeypatch, "MobileNetV2", TimeoutError())
    with pytest.raises(UserError, match="cannot be downloaded"):
        build_backbone(tiny(backbone_weights="imagenet"))


def test_imagenet_weights_of_a_fixed_size_serve_every_size(monkeypatch):
    downloaded = []

    def application(*args, weights, **settings):
        model = real(*args, weights=None, **settings)
        if weights == "imagenet":
            downloaded.append(model)
        return model

    real = keras.applications.MobileNetV2
    monkeypatch.setattr(keras.applications, "MobileNetV2", application)
    backbone = build_backbone(tiny(backbone_weights="imagenet"))
    assert_same_weights(backbone, downloaded[0])
    assert backbone.input.shape == (None, None, None, 3)
