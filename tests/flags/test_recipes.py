"""The recipes against Tables 1 and 2 of the paper, typed here row by row from its text."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from absl.flags import FlagValues

from flags import CONFIG_MODULES, GROUPS, config_from_flags
from taf_keras.config import Config

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "flags" / "recipes"
DEPARTURES = "docs/departures.md"

# Method, training set, backbone, TAF, init. lr, λ init., img size, crop size, epoch, val size of Table 2;
# then mIoU and pixel accuracy of Table 1, whose rows have the same order.
TABLE = """
FCN8s       Camvid  ResNet-50    -  0.02  N/A  360x480    360x360  600  360x480    65.3  91.0
FCN8s       Camvid  ResNet-50    X  0.02  1.0  360x480    360x360  600  360x480    67.1  91.8
DeepLabV3+  Camvid  MobileNetV2  -  0.02  N/A  360x480    360x360  600  360x480    65.0  91.7
DeepLabV3+  Camvid  MobileNetV2  X  0.05  1.0  360x480    360x360  600  360x480    66.9  91.9
DeepLabV3+  Camvid  ResNet-50    -  0.02  N/A  360x480    360x360  600  360x480    68.2  92.3
DeepLabV3+  Camvid  ResNet-50    X  0.05  0.5  360x480    360x360  600  360x480    69.1  92.3
DeepLabV3+  CS-0.2  MobileNetV2  -  0.02  N/A  1024x2048  720x720  300  1024x2048  62.1  95.0
DeepLabV3+  CS-0.2  MobileNetV2  X  0.05  1.0  1024x2048  720x720  300  1024x2048  63.8  95.3
DeepLabV3+  CS-0.2  ResNet-50    -  0.02  N/A  1024x2048  720x720  300  1024x2048  67.7  95.7
DeepLabV3+  CS-0.2  ResNet-50    X  0.05  1.0  1024x2048  720x720  300  1024x2048  69.4  96.0
DeepLabV3+  CS-0.5  MobileNetV2  -  0.02  N/A  1024x2048  720x720  300  1024x2048  67.0  95.6
DeepLabV3+  CS-0.5  MobileNetV2  X  0.02  1.0  1024x2048  720x720  300  1024x2048  68.1  95.8
DeepLabV3+  CS-0.5  ResNet-50    -  0.01  N/A  1024x2048  720x720  300  1024x2048  71.7  96.2
DeepLabV3+  CS-0.5  ResNet-50    X  0.01  1.0  1024x2048  720x720  300  1024x2048  73.0  96.3
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]

TRAINING_SETS = {
    "Camvid": ("camvid", "camvid", 1.0),
    "CS-0.2": ("cityscapes02", "cityscapes", 0.2),
    "CS-0.5": ("cityscapes05", "cityscapes", 0.5),
}
MODELS = {"FCN8s": "fcn8s", "DeepLabV3+": "deeplabv3plus"}
BACKBONES = {"ResNet-50": "resnet50", "MobileNetV2": "mobilenetv2"}

# Settings that a recipe need not fix, because they say where the run happens or do not concern it.
OWN = ("own_video", "own_video_baseline")  # not the paper's
LEFT_TO_DEFAULT = {
    "data_dir",
    "seed",
    "subset_seed",
    "batch_norm_frames",  # the paper does not say
    "gradient_accumulation_steps",  # of the memory that there is
    "reduced_decoding",  # of JPEG files
    *("rates_from", "rates_quantile"),  # of --change_rates=auto
    *(
        "partner",
        "partner_label_weight",
        "flow_tolerance_px",
        "teacher",
        "confidence",
        "teacher_momentum",
    ),  # not the paper's
    *("on_bad_file", "allow_outside_files"),  # of the user's files
    *("scene_seed", "train_clips", "val_clips", "test_clips", "drift"),  # of the synthetic data set
    *("class_weights", "init_from"),  # the paper has neither
}
OF_TAF_ALONE = {
    *("taf_weight", "change_rates", "contrastive_loss", "contrast_on", "relative_change_rates", "symmetric"),
}


def name_of(row) -> str:
    method, training_set, backbone, taf, *_ = row
    prefix = TRAINING_SETS[training_set][0]
    return f"{prefix}_{MODELS[method]}_{BACKBONES[backbone]}_{'taf' if taf == 'X' else 'baseline'}"


def parse_flags(*flags: str) -> FlagValues:
    values = FlagValues()
    for module in CONFIG_MODULES:
        module.define(values)
    values(["train.py", *flags])
    return values


def parse(name: str) -> FlagValues:
    return parse_flags(f"--flagfile={RECIPES / name}.flags", "--data_dir=data")


def departures() -> list[list[str]]:
    """Rows of docs/departures.md: what is here, in the paper, why, and the flag for the paper's choice."""
    text = (ROOT / DEPARTURES).read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def flags_of(row: list[str]) -> list[str]:
    """The flags of train.py that give the paper's choice."""
    return [flag for code in re.findall(r"`(--[^`]+)`", row[3]) for flag in code.split()]


def size(text: str) -> tuple[int, ...]:
    return tuple(int(px) for px in text.split("x"))


every_row = pytest.mark.parametrize("row", [pytest.param(row, id=name_of(row)) for row in ROWS])


def test_there_is_one_recipe_for_each_row():
    assert len(ROWS) == 14
    names = {f"{name_of(row)}.flags" for row in ROWS}
    assert {path.name for path in RECIPES.iterdir()} == names | {f"{name}.flags" for name in OWN}


def test_the_recipes_for_clips_of_ones_own_differ_in_the_method_alone():
    """Equal key frames a step, so that their metrics can be compared."""
    taf, baseline = (config_from_flags(parse(name)) for name in OWN)
    assert taf.key_frames_per_step == baseline.key_frames_per_step
    assert (taf.taf.method, baseline.taf.method) == ("taf", "baseline")
    assert replace(taf.training, batch_size=baseline.training.batch_size) == baseline.training
    assert (taf.data, taf.model) == (baseline.data, baseline.model)
    assert taf.data.dataset == "manifest"
    # λ, reach and rates are those that a manifest begins with.
    plain = config_from_flags(parse_flags("--dataset=manifest", "--data_dir=data"))
    assert taf.taf == plain.taf
    assert taf.data.temporal_context == plain.data.temporal_context


@every_row
def test_a_recipe_has_the_numbers_of_its_row(row):
    method, training_set, backbone, taf, lr, weight, image, crop, epochs, val_size, _, _ = row
    config = config_from_flags(parse(name_of(row)))
    _, dataset, subset = TRAINING_SETS[training_set]

    assert (config.data.dataset, config.data.subset) == (dataset, subset)
    assert config.data.image_size == size(image) == size(val_size)  # one flag for both
    assert config.data.crop_size == size(crop)
    assert (config.model.model, config.model.backbone) == (MODELS[method], BACKBONES[backbone])
    assert config.training.learning_rate == float(lr)
    assert config.training.epochs == int(epochs)
    if taf == "X":
        assert config.taf.method == "taf"
        assert config.taf.weight == float(weight)
    else:
        assert config.taf.method == "baseline"
        assert weight == "N/A"


@every_row
def test_a_recipe_has_what_the_text_of_the_paper_fixes(row):
    method, training_set, backbone, taf, *_ = row
    config = config_from_flags(parse(name_of(row)))
    data, model, training = config.data, config.model, config.training

    # 5.2: batch size 16, but 8 for ResNet-50 on Cityscapes; Nesterov momentum, weight decay, power.
    on_cityscapes = training_set.startswith("CS")
    assert training.batch_size == (8 if on_cityscapes and backbone == "ResNet-50" else 16)
    assert (training.momentum, training.weight_decay, training.lr_power) == (0.9, 1e-4, 0.9)
    assert (training.warmup_steps, training.dtype) == (0, "float32")
    assert (data.min_scale, data.max_scale, data.flip) == (0.5, 2.0, True)
    # 4.3: temporal context 15. Table 1: CamVid's test set, Cityscapes' validation set.
    assert data.temporal_context == 15
    assert data.eval_split == ("val" if on_cityscapes else "test")
    assert (data.label_fraction, data.labels) == (1.0, "key")
    # 5.2: pretrained on ImageNet. Table 1: output stride 16, or 8, 16, 32 for FCN8s, whose last stage has 32.
    assert model.backbone_weights == "imagenet"
    assert model.output_stride == {"FCN8s": 32, "DeepLabV3+": 16}[method]
    assert (model.backbone_width, model.head_channels) == (1.0, 256)
    if taf == "X":
        # 5.3 and 5.5, written out and not left to the default of the model.
        inf = float("inf")
        rates = {"FCN8s": (1e-4, inf, inf), "DeepLabV3+": (1e-6, 1e-6, 1e-4, 1e-3, 1e-2)}
        assert config.taf.change_rates == rates[method]
        assert config.taf.contrastive_loss == "l1"
        assert config.taf.contrast_on == "probabilities"
        assert not config.taf.relative


@every_row
def test_a_recipe_leaves_no_setting_to_defaults_that_may_change(row):
    values = parse(name_of(row))
    left = {
        own.flag
        for name, group in GROUPS.items()
        for own in group.SETTINGS.values()
        if name != "runtime" and not values[own.flag].present
    }
    allowed = LEFT_TO_DEFAULT if row[3] == "X" else LEFT_TO_DEFAULT | OF_TAF_ALONE
    assert left - allowed == set(), "add them to the recipes, or to LEFT_TO_DEFAULT with the reason"


@every_row
def test_the_header_says_row_result_and_command(row):
    name = name_of(row)
    header = (RECIPES / f"{name}.flags").read_text().split("\n--", 1)[0]
    miou, accuracy = row[-2:]
    assert f"# Table 2, row {ROWS.index(row) + 1}: {row[0]} on {row[2]}" in header
    assert f"{miou} % mIoU and {accuracy} % pixel accuracy" in header
    assert f"python train.py --flagfile=flags/recipes/{name}.flags --data_dir=" in header
    assert header.count(DEPARTURES) == 1


def test_each_recipe_writes_to_a_folder_of_its_own():
    folders = {config_from_flags(parse(name_of(row))).runtime.model_dir for row in ROWS}
    assert len(folders) == len(ROWS)


def test_a_departure_says_what_is_here_in_the_paper_and_why():
    assert len(departures()) >= 20
    for row in departures():
        assert len(row) == 4, row
        assert all(row[:3]), row


@pytest.mark.parametrize("flag", [flag for row in departures() for flag in flags_of(row)])
def test_the_flag_of_a_departure_changes_the_default_run(flag):
    assert config_from_flags(parse_flags(flag)) != Config()


def test_the_flags_for_the_default_run_are_those_of_the_recipes():
    rows = [row for row in departures() if row[0].startswith("Default run:")]
    recipes = [path.read_text().splitlines() for path in RECIPES.iterdir()]
    used = {line for lines in recipes for line in lines}
    flags = [flag for row in rows for flag in flags_of(row)]
    assert len(flags) >= len(rows) > 5
    assert set(flags) - used == set()
