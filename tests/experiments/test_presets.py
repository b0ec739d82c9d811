"""The paper's studies, flag by flag."""

import math
from pathlib import Path

import pytest
from absl.flags import FlagValues

from flags import CONFIG_MODULES, config_from_flags
from taf_keras.config import Config, ModelConfig, TAFConfig
from taf_keras.errors import UserError
from taf_keras.experiments.arms import check_arms
from taf_keras.experiments.presets import SWEEPS

RECIPE = Path(__file__).parents[2] / "flags" / "recipes" / "camvid_fcn8s_resnet50_taf.flags"
ABLATIONS = [f"--flagfile={RECIPE}", "--data_dir=data"]  # the setting of Section 4.3


def parse(*flags: str) -> Config:
    values = FlagValues()
    for module in CONFIG_MODULES:
        module.define(values)
    values(["train.py", *flags])
    return config_from_flags(values)


def flags_of(study) -> dict[str, str]:
    return {arm.name: " ".join(arm.flags) for arm in study.arms}


@pytest.mark.parametrize("common", [[], ABLATIONS], ids=["synthetic", "section 4.3"])
@pytest.mark.parametrize("name", SWEEPS)
def test_every_arm_is_a_valid_run_with_as_many_key_frames_a_step(name, common):
    study = SWEEPS[name](parse(*common))
    check_arms(study.arms)
    assert study.reference in flags_of(study)
    configs = [parse(*common, *arm.flags) for arm in study.arms]
    assert {config.key_frames_per_step for config in configs} == {8}
    assert len({(config.taf, config.data, config.training) for config in configs}) == len(study.arms)
    assert {len(arm.point) for arm in study.arms} <= {0, len(study.axes)}


def test_change_rate_varies_the_first_branch_alone():
    study = SWEEPS["change_rate"](parse(*ABLATIONS))
    assert flags_of(study) == {
        "baseline": "--method=baseline --batch_size=8",
        "c1=0": "--method=taf --change_rates=0,inf,inf",
        "c1=1e-5": "--method=taf --change_rates=1e-05,inf,inf",
        "c1=1e-4": "--method=taf --change_rates=0.0001,inf,inf",
        "c1=1e-3": "--method=taf --change_rates=0.001,inf,inf",
        "c1=1e-2": "--method=taf --change_rates=0.01,inf,inf",
        "c1=inf": "--method=taf --change_rates=inf,inf,inf",
    }
    own = parse("--change_rates=1e-6,2e-6,3e-5,4e-4,5e-3")
    arm = SWEEPS["change_rate"](own).arms[3]
    assert parse(*arm.flags).taf.change_rates == (1e-4, 2e-6, 3e-5, 4e-4, 5e-3)


def test_temporal_context():
    assert flags_of(SWEEPS["temporal_context"](Config())) == {
        "baseline": "--method=baseline --batch_size=8",
        "n_h=1": "--method=taf --temporal_context=1",
        "n_h=3": "--method=taf --temporal_context=3",
        "n_h=7": "--method=taf --temporal_context=7",
        "n_h=15": "--method=taf --temporal_context=15",
    }


def test_learning_rate_weight_has_the_papers_grid_and_its_baselines():
    study = SWEEPS["learning_rate_weight"](Config())
    flags = flags_of(study)
    rates = ("0.005", "0.01", "0.02", "0.025", "0.05")  # Section 5.2
    assert [flags[f"baseline,lr={rate}"] for rate in rates] == [
        f"--method=baseline --batch_size=8 --learning_rate={rate}" for rate in rates
    ]
    for rate in rates:
        for weight in ("0.5", "1", "2"):
            expected = f"--method=taf --learning_rate={rate} --taf_weight={weight}"
            assert flags.pop(f"taf,lr={rate},weight={weight}") == expected
    assert len(flags) == 5
    assert {arm.point[1] for arm in study.arms} == {"baseline", "0.5", "1", "2"}


def test_contrastive_loss():
    assert flags_of(SWEEPS["contrastive_loss"](Config())) == {
        "baseline": "--method=baseline --batch_size=8",
        "l1": "--method=taf --contrastive_loss=l1 --contrast_on=probabilities",
        "l2": "--method=taf --contrastive_loss=l2 --contrast_on=probabilities",
        "symmetric_cross_entropy": "--method=taf --contrastive_loss=symmetric_cross_entropy "
        "--contrast_on=probabilities",
        "l1_on_logits": "--method=taf --contrastive_loss=l1 --contrast_on=logits",
    }


def test_relative_change_rates_keep_their_proportions():
    config = parse(*ABLATIONS)
    study = SWEEPS["relative_change_rate"](config)
    rates = {arm.name: parse(*ABLATIONS, *arm.flags) for arm in study.arms}
    assert {name for name, c in rates.items() if c.taf.relative} == {
        f"relative_x{factor}" for factor in (1, 10, 100, 1000)
    }
    assert rates["per_frame"].change_rates == rates["relative_x1"].change_rates == config.change_rates
    assert rates["relative_x100"].change_rates == pytest.approx((0.01, math.inf, math.inf))


@pytest.mark.parametrize("name", ["change_rate", "relative_change_rate"])
def test_rates_to_be_measured_cannot_be_varied(name):
    config = parse("--change_rates=auto", "--rates_from=runs/baseline")
    with pytest.raises(UserError, match="--change_rates=auto: this study needs its numbers"):
        SWEEPS[name](config)


def test_rates_of_a_model_of_ones_own_have_names():
    taf = TAFConfig(change_rates=(("slow_layer", 1e-6), ("fast_layer", float("inf"))))
    study = SWEEPS["change_rate"](Config(model=ModelConfig("nets.py:small"), taf=taf))
    assert "--change_rates=slow_layer=1e-05,fast_layer=inf" in study.arms[2].flags
