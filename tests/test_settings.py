"""What a declared setting brings: its check, its messages on a command line and in a notebook, its text."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from flags import GROUPS, evaluation
from taf_keras import command, errors
from taf_keras.config import Config, DataConfig, PartnerLabelConfig, TAFConfig, TrainingConfig
from taf_keras.errors import UserError, spoken
from taf_keras.settings import Bound, check, described, setting

ROOT = Path(__file__).parents[1]
EVERY = [
    pytest.param(own, id=own.flag)
    for group in (*GROUPS.values(), evaluation.Evaluation)
    for own in group.SETTINGS.values()
]


@described
@dataclass(frozen=True)
class Oven:
    """How to bake.

    Attributes:
        degrees: Heat, {bound}, for long
            enough. Default: ours.
        mode: One of {values}.
        pans: Any of {values}.
        serial: Not a setting.
    """

    degrees: float = setting(
        180.0, Bound("1 or more{unit}", lambda value: value >= 1), unit="°C", flag="oven_degrees"
    )
    mode: str | None = setting(None, choices=("fan", "grill"))
    pans: tuple[str, ...] = setting((), choices=("round", "square"))
    serial: int = 0

    def __post_init__(self):
        check(self)


@pytest.fixture
def notebook(monkeypatch):
    """Where no command runs."""
    monkeypatch.setattr(errors, "speaks_of_flags", False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"degrees": 0.5}, "--oven_degrees=0.5: must be 1 or more °C"),
        ({"mode": "microwave"}, "--mode=microwave: allowed are fan, grill"),
        ({"pans": ("round", "oval")}, "--pans=oval: allowed are round, square"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_what_is(values, message):
    with pytest.raises(UserError) as refusal:
        Oven(**values)
    assert str(refusal.value) == message


def test_values_that_are_allowed_pass():
    assert Oven(1, "grill", ("round", "square", "round")).degrees == 1
    assert Oven(mode=None).mode is None


def test_the_docstring_says_what_is_allowed():
    assert inspect.cleandoc(Oven.__doc__).splitlines() == [
        "How to bake.",
        "",
        "Attributes:",
        "    degrees: Heat, 1 or more, for long enough. Default: ours.",
        "    mode: One of fan, grill.",
        "    pans: Any of round, square.",
        "    serial: Not a setting.",
    ]
    assert list(Oven.SETTINGS) == ["degrees", "mode", "pans"]


@pytest.mark.parametrize("own", EVERY)
def test_every_setting_says_what_it_is_and_its_bound_once(own):
    assert own.text.strip("., ")
    words = own.bound.brief or own.bound.words.format(unit="")
    assert own.bound.of or own.text.count(words) == 1 or not words


@pytest.mark.parametrize("group", [*GROUPS.values(), evaluation.Evaluation])
def test_the_docstring_describes_every_field_and_nothing_else(group):
    described = re.findall(r"^    (\w+): ", group.__doc__, re.MULTILINE)
    assert described == [field.name for field in fields(group)]


@pytest.mark.usefixtures("notebook")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TAFConfig(weight=-1), "weight=-1: must be finite and 0 or more"),
        (lambda: PartnerLabelConfig(weight=-1), "weight=-1: must be finite and 0 or more"),
        (lambda: DataConfig(dataset="kitti"), "dataset=kitti: allowed are synthetic, camvid, "),
        (lambda: DataConfig(dataset="camvid"), "dataset=camvid needs data_dir, the folder that holds it"),
        (lambda: DataConfig(min_scale=2), "min_scale=2 max_scale=1.5: need 0 < min_scale <= max_scale"),
        (
            lambda: Config(taf=TAFConfig(method="slow", change_rates=(0.0,))),
            "change_rates: method=slow sets every rate to 0; allowed with method=taf",
        ),
    ],
)
def test_a_notebook_hears_of_fields(make, message):
    with pytest.raises(UserError) as refusal:
        make()
    assert str(refusal.value).startswith(message)


def test_a_command_line_hears_of_flags():
    with pytest.raises(UserError, match=r"^--taf_weight=-1: must be finite and 0 or more$"):
        TAFConfig(weight=-1)


@pytest.mark.usefixtures("notebook")
@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("a smaller --taf_weight usually helps", "a smaller weight usually helps"),
        ("--relative_change_rates, (--partner_label_weight)", "relative, (weight)"),
        ("give --image_size", "give image_size"),
        ("my--file.png and runs/--x: missing", "my--file.png and runs/--x: missing"),
        ("5 -- 6", "5 -- 6"),
    ],
)
def test_flags_alone_become_fields(text, heard):
    assert spoken(text) == heard
    assert str(UserError(text)) == heard


@pytest.mark.usefixtures("notebook")
def test_a_command_speaks_of_flags_while_it_runs(capsys):
    with pytest.raises(SystemExit):
        command.run(lambda: TAFConfig(weight=-1) and None)
    assert capsys.readouterr().err == "error: --taf_weight=-1: must be finite and 0 or more\n"
    assert not errors.speaks_of_flags


def test_a_library_that_is_imported_speaks_of_fields(tmp_path):
    code = (
        "from taf_keras.config import TAFConfig\ntry: TAFConfig(weight=-1)\nexcept Exception as e: print(e)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "weight=-1: must be finite and 0 or more\n", result.stderr


# --- What depends on other settings -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "taf", "expected"),
    [
        ({}, {}, (15, 6.0)),
        ({"dataset": "camvid"}, {}, (15, 6.0)),
        ({"dataset": "manifest"}, {}, (3, 1.0)),
        ({"dataset": "manifest"}, {"method": "slow"}, (3, 1.0)),
        ({"dataset": "manifest", "temporal_context": 15}, {"weight": 6.0}, (15, 6.0)),
        ({}, {"method": "propagate"}, (15, 0.0)),
        ({"dataset": "manifest"}, {"method": "mean_teacher"}, (3, 0.0)),
        ({}, {"method": "mean_teacher", "weight": 0.5}, (15, 0.5)),
    ],
)
def test_where_one_begins_depends_on_whose_clips_they_are(data, taf, expected):
    config = Config(DataConfig(data_dir="clips", **data), taf=TAFConfig(**taf))
    assert (config.data.temporal_context, config.taf.weight) == expected
    assert Config.from_dict(config.to_dict()) == config


def test_labels_for_partners_come_without_taf_unless_its_weight_is_given():
    for method in ("propagate", "mean_teacher"):
        assert not Config(taf=TAFConfig(method=method)).swaps
        assert not Config(taf=TAFConfig(method=method, weight=0.0)).swaps
        assert Config(taf=TAFConfig(method=method, weight=1.0)).swaps
    assert Config(taf=TAFConfig(weight=0.0)).swaps  # the control computes what TAF computes


@pytest.mark.parametrize(
    ("method", "weight", "batch_size", "message"),
    [
        (
            "taf",
            None,
            16,
            "--cutmix: a pasted frame has no offset; allowed are --method=baseline",
        ),
        ("mean_teacher", 1.0, 16, "--cutmix: a pasted frame has no offset"),
        ("propagate", None, 16, "--cutmix: a pasted frame has no offset"),
        ("baseline", None, 7, "--cutmix: pastes between two key frames, and a device has 7 at a time"),
        ("baseline", None, 8, None),
        ("mean_teacher", None, 8, None),
    ],
)
def test_cutmix_needs_pairs_of_key_frames_and_no_taf(method, weight, batch_size, message):
    def make():
        return Config(
            DataConfig(cutmix=True),
            taf=TAFConfig(method=method, weight=weight),
            training=TrainingConfig(batch_size=batch_size),
        )

    if message is None:
        make()
        return
    with pytest.raises(UserError, match=re.escape(message)):
        make()
