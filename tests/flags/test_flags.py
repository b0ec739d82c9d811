"""Flags and config fields correspond one to one; flags read, show and refuse values as they should."""

import inspect
import math
import os
import re
from dataclasses import fields

import pytest
from absl.flags import FlagValues, IllegalFlagValueError

from flags import CONFIG_MODULES, config_from_flags, evaluation, parse_config
from taf_keras.config import DATASETS, Config, RuntimeConfig
from taf_keras.errors import UserError, require_one_of
from taf_keras.settings import text_of

OTHER_NAMES = {
    "taf.weight": "taf_weight",
    "taf.relative": "relative_change_rates",
    "partner_labels.weight": "partner_label_weight",
}

# A whole command line, one value for every flag: what is written, and what the field then holds.
COMMAND_LINE = {
    "dataset": ("camvid", "camvid"),
    "data_dir": ("some/folder", "some/folder"),
    "subset": ("0.25", 0.25),
    "label_fraction": ("1e-1", 0.1),
    "labels": ("all", "all"),
    "image_size": ("180x240", (180, 240)),
    "reduced_decoding": ("true", True),
    "crop_size": ("96x128", (96, 128)),
    "temporal_context": ("7", 7),
    "min_scale": ("0.75", 0.75),
    "max_scale": ("1.5", 1.5),
    "flip": ("false", False),
    "color_jitter": ("true", True),
    "partner": ("key", "key"),
    "subset_seed": ("11", 11),
    "scene_seed": ("12", 12),
    "train_clips": ("13", 13),
    "val_clips": ("14", 14),
    "test_clips": ("15", 15),
    "drift": ("0.5", 0.5),
    "eval_split": ("val", "val"),
    "on_bad_file": ("skip", "skip"),
    "allow_outside_files": ("true", True),
    "blur": ("true", True),
    "cutmix": ("true", True),
    "model": ("fcn8s", "fcn8s"),
    "backbone": ("mobilenetv2", "mobilenetv2"),
    "backbone_weights": ("weights/a b.h5", "weights/a b.h5"),
    "output_stride": ("32", 32),
    "backbone_width": ("0.35", 0.35),
    "head_channels": ("24", 24),
    "batch_norm_momentum": ("0.97", 0.97),
    "method": ("baseline", "baseline"),
    "taf_weight": ("2", 2.0),
    "change_rates": ("3e-7, inf,0", (3e-7, math.inf, 0.0)),
    "rates_from": ("runs/baseline", "runs/baseline"),
    "rates_quantile": ("0.25", 0.25),
    "batch_norm_frames": ("all", "all"),
    "contrastive_loss": ("l2", "l2"),
    "contrast_on": ("logits", "logits"),
    "relative_change_rates": ("true", True),
    "symmetric": ("sampled", "sampled"),
    "partner_label_weight": ("0.5", 0.5),
    "flow_tolerance_px": ("2", 2.0),
    "teacher": ("runs/teacher", "runs/teacher"),
    "confidence": ("0.7", 0.7),
    "teacher_momentum": ("0.9", 0.9),
    "optimizer": ("adamw", "adamw"),
    "class_weights": ("inverse_frequency", "inverse_frequency"),
    "init_from": ("runs/first", "runs/first"),
    "epochs": ("3", 3),
    "batch_size": ("6", 6),
    "gradient_accumulation_steps": ("3", 3),
    "learning_rate": (".003", 0.003),
    "momentum": ("0.8", 0.8),
    "weight_decay": ("0", 0.0),
    "lr_power": ("1", 1.0),
    "warmup_steps": ("5", 5),
    "seed": ("42", 42),
    "dtype": ("mixed_bfloat16", "mixed_bfloat16"),
    "keep_best": ("miou", "miou"),
    "export_weights": ("best", "best"),
    "model_dir": ("somewhere/else", "somewhere/else"),
    "strategy": ("mirrored", "mirrored"),
    "replicas": ("2", 2),
    "reader_threads": ("9", 9),
    "kept_mb": ("64", 64.0),
    "deterministic": ("true", True),
    "steps_per_execution": ("5", 5),
    "jit_compile": ("false", "false"),
    "log_every": ("8", 8),
    "validations": ("4", 4),
    "eval_batch_size": ("3", 3),
    "checkpoint_minutes": ("2.5", 2.5),
    "export_formats": ("litert,litert_int8", ("litert", "litert_int8")),
}


def parse(*args, modules=CONFIG_MODULES) -> FlagValues:
    values = FlagValues()
    for module in modules:
        module.define(values)
    values(["train.py", *args])
    return values


def parse_command_line() -> FlagValues:
    return parse(*(f"--{flag}={text}" for flag, (text, _) in COMMAND_LINE.items()))


def config_fields():
    """(flag, group's name, field) for every setting."""
    for group in fields(Config):
        for field in fields(group.default_factory):
            if not field.metadata.get("flag", True):
                continue
            yield OTHER_NAMES.get(f"{group.name}.{field.name}", field.name), group.name, field


ALL = [pytest.param(*entry, id=entry[0]) for entry in config_fields()]


def test_every_field_has_a_flag_and_every_flag_a_field():
    assert sorted(parse()) == sorted(flag for flag, _, _ in config_fields())


@pytest.mark.parametrize(("flag", "group", "field"), ALL)
def test_the_mapping_of_names_is_the_documented_one(flag, group, field):
    assert getattr(Config(), group).SETTINGS[field.name].flag == flag


def test_defaults_are_those_of_the_config():
    assert config_from_flags(parse()) == Config()


@pytest.mark.parametrize(("flag", "group", "field"), ALL)
def test_a_flag_reaches_its_field(flag, group, field):
    assert flag in COMMAND_LINE, f"give --{flag} a value in COMMAND_LINE"
    value = getattr(getattr(config_from_flags(parse_command_line()), group), field.name)
    expected = COMMAND_LINE[flag][1]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(("flag", "group", "field"), ALL)
def test_the_text_of_a_value_is_read_back_as_the_value(flag, group, field):
    for value in (COMMAND_LINE[flag][1], field.default):
        assert parse(f"--{flag}={text_of(value)}")[flag].value == value


@pytest.mark.parametrize(
    "rates", [(("a", 1e-6), ("b/c", math.inf)), (0.0, 1.0), (1e-06, 1.0, 2.5), (math.inf,), "auto"]
)
def test_the_text_of_change_rates_is_read_back(rates):
    assert parse(f"--change_rates={text_of(rates)}")["change_rates"].value == rates


def test_what_flags_write_to_a_file_they_read_back(tmp_path):
    written = parse_command_line()
    path = tmp_path / "written.flags"
    path.write_text(written.flags_into_string())
    assert config_from_flags(parse(f"--flagfile={path}")) == config_from_flags(written)


@pytest.mark.parametrize(("flag", "group", "field"), ALL)
def test_empty_means_none_exactly_where_the_config_allows_none(flag, group, field):
    if "None" in field.type:
        assert parse(f"--{flag}=")[flag].value is None
    elif field.type == "tuple[str, ...]":  # no names
        assert parse(f"--{flag}=")[flag].value == ()
    else:
        with pytest.raises(IllegalFlagValueError, match=f"--{flag}=: "):
            parse(f"--{flag}=")


@pytest.mark.parametrize(("flag", "group", "field"), ALL)
def test_help_says_where_the_default_comes_from(flag, group, field):
    assert re.search(r"[Pp]aper|Default: ours|Empty: ", parse()[flag].help)


@pytest.mark.parametrize(
    "text", ["abc", "90", "90x", "90x120x3", "90,120", "0x120", "-90x120", "90.5x120", " x "]
)
def test_a_size_is_two_positive_whole_numbers(text):
    with pytest.raises(IllegalFlagValueError) as caught:
        parse(f"--image_size={text}")
    expected = f"--image_size={text}: write HEIGHTxWIDTH in pixels, such as 360x480"
    assert str(caught.value) == f"flag {expected}"  # flags.script drops absl's "flag "


@pytest.mark.parametrize("text", ["abc", "1e-4,,inf", "1e-4 inf", ","])
def test_change_rates_are_comma_separated_numbers(text):
    with pytest.raises(
        IllegalFlagValueError, match=re.escape(f"--change_rates={text}: write comma-separated")
    ):
        parse(f"--change_rates={text}")


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ("--epochs=1.5", "write a whole number"),
        ("--epochs=many", "write a whole number"),
        ("--learning_rate=fast", "write a number"),
        ("--flip=maybe", "write true or false"),
        ("--model_dir=", "must not be empty"),
    ],
)
def test_a_refusal_says_what_is_allowed(argument, allowed):
    with pytest.raises(IllegalFlagValueError, match=re.escape(f"{argument}: {allowed}")):
        parse(argument)


def test_a_choice_is_refused_in_the_words_of_the_config():
    with pytest.raises(UserError) as by_config:
        require_one_of("dataset", "kitti", DATASETS)
    with pytest.raises(IllegalFlagValueError) as by_flag:
        parse("--dataset=kitti")
    assert str(by_flag.value) == f"flag {by_config.value}"


def test_evaluation_flags_are_the_arguments_of_evaluate_and_of_a_study():
    from taf_keras.evaluation.run import evaluate
    from taf_keras.studies.run import run_study

    values = parse(modules=[evaluation])
    assert evaluation.arguments(values) == {
        "model_dir": Config().runtime.model_dir,
        "split": None,
        "checkpoint": None,
        "saved_model": None,
        "output_dir": None,
        "data_dir": None,
        "eval_batch_size": None,
        "scales": None,
        "flip": False,
        "save_label_ids": False,
    }
    plain, study = (set(inspect.signature(function).parameters) for function in (evaluate, run_study))
    assert set(evaluation.arguments(values)) == plain
    assert set(evaluation.study_arguments(values)) == study
    assert set(values) == (plain | study) - {"model_dirs"}


def test_empty_evaluation_flags_are_none():
    empty = [
        f"--{name}="
        for name in (
            *("split", "checkpoint", "saved_model", "data_dir", "study", "branch", "max_clips"),
            *("group_by", "scales"),
        )
    ]
    values = parse(*empty, modules=[evaluation])
    assert set(evaluation.arguments(values).values()) == {None, False, Config().runtime.model_dir}
    assert not evaluation.is_study(values)


def test_the_studies_are_those_that_there_are():
    from taf_keras.studies.run import STUDIES

    assert tuple(STUDIES) == evaluation.STUDIES


def test_a_study_takes_several_runs():
    values = parse("--study=class_change", "--model_dir=runs/a,runs/b", "--max_clips=5", modules=[evaluation])
    assert evaluation.is_study(values)
    assert evaluation.study_arguments(values) == {
        "study": "class_change",
        "model_dirs": ("runs/a", "runs/b"),
        "split": None,
        "branch": None,
        "max_clips": 5,
        "group_by": None,
        "output_dir": None,
        "data_dir": None,
    }


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ("--study=fig4", "--study=fig4: allowed are swap_interval, predictions, attenuation, class_change"),
        ("--model_dir=a,b", "model_dir=a,b, study=None: several runs need a --study"),
        ("--study=class_change --checkpoint=a", "a study takes the checkpoint that each run reports"),
        ("--study=class_change --saved_model=a", "a study takes the checkpoint that each run reports"),
        ("--branch=stride32", "only a --study has a branch"),
        ("--max_clips=0", "only a --study has a branch or a number of clips"),
        ("--study=difference --scales=0.5,1", "a study takes frames as they are"),
        ("--study=difference --flip", "a study takes frames as they are, and writes no label maps"),
        ("--study=swap_interval --save_label_ids", "writes no label maps"),
        ("--group_by=a", "only --study=difference has groups of clips"),
        ("--study=swap_interval --group_by=a", "only --study=difference has groups of clips"),
        ("--scales=0.5;1", "scales=0.5;1: write comma-separated numbers, such as 0.5,1,1.5"),
    ],
)
def test_flags_of_studies_and_of_the_plain_evaluation_do_not_mix(arguments, refusal):
    with pytest.raises(IllegalFlagValueError, match=re.escape(refusal)):
        parse(*arguments.split(), modules=[evaluation])


def test_scales_are_numbers():
    values = parse("--scales=0.5,1,1.25", "--flip", "--save_label_ids", modules=[evaluation])
    given = evaluation.arguments(values)
    assert (given["scales"], given["flip"], given["save_label_ids"]) == ((0.5, 1.0, 1.25), True, True)


def test_a_checkpoint_and_a_saved_model_exclude_each_other():
    with pytest.raises(IllegalFlagValueError, match=r"checkpoint=a, saved_model=b: .*not both"):
        parse("--checkpoint=a", "--saved_model=b", modules=[evaluation])


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        (["--batch_size=2"], False),
        (["--batch_size=4"], True),
        (["--batch_size=2", "--batch_norm_frames=all"], True),
        (["--batch_size=2", "--model=fcn8s"], True),
        (["--batch_size=1", "--method=baseline"], False),
        (["--batch_size=2", "--method=baseline"], True),
        (["--batch_size=16", "--gradient_accumulation_steps=8"], False),
        (["--batch_size=16", "--gradient_accumulation_steps=4"], True),
    ],
)
def test_image_pool_needs_two_frames_for_its_statistics(settings, allowed):
    if allowed:
        config_from_flags(parse(*settings))
    else:
        with pytest.raises(UserError, match=r"^--batch_size=\d+.*: one key frame at a time: .* two or more$"):
            config_from_flags(parse(*settings))


def test_readers_are_as_many_as_the_cores_that_may_be_used(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert Config().runtime.threads == 3
    assert RuntimeConfig(reader_threads=7).threads == 7
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert Config().runtime.threads == 12


def test_a_folder_of_runs_may_have_commas_in_its_name(tmp_path, monkeypatch):
    """As the arms of a sweep over two flags have."""
    monkeypatch.chdir(tmp_path)
    for name in ("taf_weight=1,drift=0", "taf_weight=1", "b,c,d"):
        (tmp_path / name).mkdir()
    folders = "taf_weight=1,drift=0,taf_weight=1,b,c,absent"
    values = parse("--study=difference", f"--model_dir={folders}", modules=[evaluation])
    assert evaluation.study_arguments(values)["model_dirs"] == (
        *("taf_weight=1,drift=0", "taf_weight=1", "b", "c", "absent"),
    )
    alone = parse("--model_dir=b,c,d", modules=[evaluation])
    assert evaluation.arguments(alone)["model_dir"] == "b,c,d"


@pytest.mark.parametrize("name", ["seed", "subset_seed", "scene_seed"])
def test_a_seed_is_one_that_a_run_can_keep(name):
    largest = 2**32 - 1
    config = parse_config([f"--{name}={largest}"])
    assert Config.from_dict(config.to_dict()) == config
    with pytest.raises(UserError, match=f"{name}={largest + 1}: must be below 2\\^32"):
        parse_config([f"--{name}={largest + 1}"])
