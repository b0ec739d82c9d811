"""The table of every documented option with the test that executes it, from the command line to the result.

    PYTHONPATH=. python tests/options.py          prints it

Most of it derives itself from LINES, the command lines that tests/end_to_end/test_every_option.py executes;
ELSEWHERE has the rest. tests/test_options.py compares it with what is documented: the flags of train.py and
evaluate.py, and the options of every `python -m taf_keras.…` that README, docs or docstrings name.
"""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from absl import flags as absl_flags

from flags import CONFIG_MODULES, config_from_flags, evaluation
from taf_keras import config
from taf_keras.config import Config
from taf_keras.experiments import presets

ROOT = Path(__file__).parents[1]
RECIPES = {path.stem: path for path in sorted((ROOT / "flags" / "recipes").glob("*.flags"))}
TRAIN, EVALUATE = "train.py", "evaluate.py"
ADVISE, CHECK, EXTRACT, PACK = (f"taf_keras.{name}" for name in ("advise", "check", "extract", "pack"))
PREDICT, CLUSTER = "taf_keras.predict", "taf_keras.local_cluster"
LABEL, IMPORT, VIEW = (f"taf_keras.{name}" for name in ("label", "import_labels", "view"))
SWEEP, TABLE1, REPORT = (f"taf_keras.{name}" for name in ("sweep", "table1", "report"))

# --- What is executed -------------------------------------------------------------------------------

# {out} is the line's own folder; {NAME} is that of another line, or of files that the test writes.
_TINY = (
    "--data_dir={clips} --scene_seed=2 --drift=0.5 --train_clips=2 --val_clips=2 --test_clips=2 "
    "--image_size=64x64 --temporal_context=3 --head_channels=8 --batch_size=4 --epochs=1 --validations=0 "
    "--log_every=1"
)
_RUN = f"{TRAIN} {_TINY} --model_dir={{out}}"
_OWN = _RUN.replace("--head_channels=8 ", "")  # a model of one's own has no such thing
_OF_A_BRANCH = ("swap_interval", "predictions", "attenuation")  # studies that change one


def _recipe(name: str) -> str:
    dataset, more = re.match("[a-z]+", name)[0], ""
    if name.startswith("own_video"):
        dataset, more = "manifest", " --on_bad_file=skip --allow_outside_files"
    return (
        f"{TRAIN} --flagfile={{recipes}}/{name}.flags --data_dir={{{dataset}}} --model_dir={{out}} "
        "--image_size=64x64 --crop_size=64x64 --temporal_context=3 --head_channels=8 --batch_size=4 "
        f"--epochs=1 --validations=0{more}"
    )


# A run that names no --backbone has a small one in its place.
LINES = {
    # Runs on whose folders others build
    "baseline": f"{_RUN} --method=baseline --model=fcn8s --epochs=2 --batch_size=1 --steps_per_execution=2 "
    "--validations=2 --keep_best=miou --export_weights=best --export_formats=litert,litert_int8,onnx "
    "--color_jitter",
    "camvid": f"{EXTRACT} --layout=camvid --data_dir={{out}} --video={{videos}}/street.avi --name=0001TP "
    "--temporal_context=3 --format=png --index_offset=0 --trust_offset --search=4",
    "manifest": f"{EXTRACT} --layout=manifest --data_dir={{out}} --video={{videos}}/street.avi --split=val "
    "--output_csv={out}/longer.csv --temporal_context=2 --format=jpg --quality=90 --image_size=32x48 "
    "--index_offset=auto --jobs=7",
    "packed": f"{PACK} --dataset=camvid --data_dir={{camvid}} --output_dir={{out}} --temporal_context=3 "
    "--shard_mb=1",
    # Other runs
    "all_labels": f"{_RUN} --method=taf --labels=all --batch_size=16 --gradient_accumulation_steps=2 "
    "--taf_weight=1 --change_rates=0,1e-3,1e-3,inf,inf --contrastive_loss=l2 --contrast_on=logits "
    "--relative_change_rates --batch_norm_frames=all --kept_mb=0 --reader_threads=1 "
    "--class_weights=inverse_frequency",
    "slow": f"{_RUN} --method=slow --model=fcn8s --contrastive_loss=symmetric_cross_entropy --partner=key "
    "--symmetric=key --reduced_decoding "
    "--dataset=manifest --data_dir={manifest} --on_bad_file=skip --allow_outside_files --subset=0.7 "
    "--label_fraction=0.5 --subset_seed=1 --eval_split=val --dtype=mixed_bfloat16 --strategy=single "
    "--deterministic --jit_compile=false",
    "propagate": f"{_RUN} --method=propagate --model=fcn8s --flow_tolerance_px=2 --partner_label_weight=0.5 "
    "--dataset=packed --data_dir={packed} --min_scale=0.9 --max_scale=1.1 --crop_size=64x64 --noflip "
    "--eval_split=train --eval_batch_size=1 --dtype=mixed_float16 --checkpoint_minutes=0 --seed=1",
    "pseudo": f"{_RUN} --method=pseudo --model=fcn8s --teacher={{baseline}} --confidence=0 "
    "--partner=other_clip --eval_split=test --epochs=2 --learning_rate=0.02 --lr_power=0 --warmup_steps=0 "
    "--momentum=0.5 --weight_decay=0 --batch_norm_momentum=0.5 --class_weights=inverse_sqrt_frequency "
    "--init_from={baseline}",
    "mean_teacher": f"{_RUN} --method=mean_teacher --model=fcn8s --blur --confidence=0 "
    "--teacher_momentum=0.5 --taf_weight=0.5",
    "auto": f"{_RUN} --method=taf --model=fcn8s --change_rates=auto --rates_from={{baseline}} "
    "--rates_quantile=0.5 --batch_size=16 --symmetric=sampled",
    "mobilenetv2": f"{_RUN} --method=baseline --backbone=mobilenetv2 --backbone_width=0.35 "
    "--backbone_weights={weights}/mobilenetv2.weights.h5 --output_stride=8 --learning_rate=1e-9",
    "resnet50": f"{_RUN} --method=baseline --backbone=resnet50 --output_stride=16 --backbone_weights=random",
    "keras_cv": f"{_RUN} --method=baseline --backbone=keras_cv:resnet18 --output_stride=32",
    **{name: _recipe(name) for name in RECIPES},
    "own_function": f"{_OWN} --model={{networks}}/networks.py:two_levels --optimizer=adamw "
    "--learning_rate=1e-3 --change_rates=coarse=1e-4,fine=inf --validations=1 --method=taf",
    "own_file": f"{_OWN} --model={{networks}}/saved.keras --method=baseline --optimizer=sgd --cutmix",
    # evaluate.py
    "a_checkpoint": f"{EVALUATE} --model_dir={{baseline}} --split=train --data_dir={{moved}} "
    "--checkpoint={baseline}/checkpoints/step-00000004.weights.h5 --output_dir={out} --eval_batch_size=1",
    "an_export": f"{EVALUATE} --model_dir={{baseline}} --split=test --saved_model={{baseline}}/export "
    "--output_dir={out}",
    "the_latest": f"{EVALUATE} --model_dir={{baseline}} --split=val --output_dir={{out}}",
    "averaged": f"{EVALUATE} --model_dir={{baseline}} --split=val --output_dir={{out}} --scales=0.5,1,1.5 "
    "--flip --save_label_ids",
    **{
        f"study_{study}": f"{EVALUATE} --model_dir={{baseline}} --study={study} --split=val --max_clips=1 "
        "--output_dir={out} --data_dir={clips}" + " --branch=stride16" * (study in _OF_A_BRANCH)
        for study in evaluation.STUDIES
        if study != "difference"  # which needs two runs
    },
    "study_difference": f"{EVALUATE} --model_dir={{baseline}},{{pseudo}} --study=difference --split=val "
    "--group_by=[0-9]+$ --output_dir={out}",
    "study_own": f"{EVALUATE} --model_dir={{own_function}} --study=attenuation --split=val --max_clips=1 "
    "--output_dir={out} --branch=coarse",
    # Other commands
    "check_camvid": f"{CHECK} --dataset=camvid --data_dir={{camvid}} --method=taf --temporal_context=3 "
    "--image_size=64x64 --subset=0.75 --subset_seed=1 --label_fraction=0.7 --splits=train,val --quick "
    "--threads=7 --csv={out}/data.csv",
    "check_cityscapes": f"{CHECK} --dataset=cityscapes --data_dir={{cityscapes}} --method=baseline",
    "check_manifest": f"{CHECK} --dataset=manifest --data_dir={{manifest}} --method=slow --labels=all "
    "--temporal_context=3 --on_bad_file=skip --allow_outside_files",
    "check_packed": f"{CHECK} --dataset=packed --data_dir={{packed}} --method=propagate --temporal_context=3",
    "check_quickly": f"{CHECK} --dataset=manifest --data_dir={{manifest}} --method=mean_teacher --quick "
    "--on_bad_file=skip --allow_outside_files",
    "check_synthetic": f"{CHECK} --dataset=synthetic --method=pseudo",
    "advise_camvid": f"{ADVISE} --dataset=camvid --data_dir={{camvid}} --temporal_context=3 "
    "--image_size=64x64 --subset=0.75 --subset_seed=1 --label_fraction=0.7 --places=same "
    "--json={out}/advice.json",
    "advise_cityscapes": f"{ADVISE} --dataset=cityscapes --data_dir={{cityscapes}} --places=new",
    "advise_manifest": f"{ADVISE} --dataset=manifest --data_dir={{manifest}} --temporal_context=3 "
    "--on_bad_file=skip --allow_outside_files --rates_from={slow}",
    "advise_packed": f"{ADVISE} --dataset=packed --data_dir={{packed}} --temporal_context=3",
    "advise_synthetic": f"{ADVISE} --dataset=synthetic",
    "pack_again": f"{PACK} --dataset=packed --data_dir={{packed}} --output_dir={{out}} --temporal_context=1 "
    "--splits=train",
    "pack_cityscapes": f"{PACK} --dataset=cityscapes --data_dir={{cityscapes}} --output_dir={{out}}",
    "pack_manifest": f"{PACK} --dataset=manifest --data_dir={{manifest}} --output_dir={{out}} "
    "--temporal_context=3 --on_bad_file=skip --allow_outside_files",
    "predict": f"{PREDICT} {{images}} --model={{baseline}}/export --output_dir={{out}}",
    "predict_video": f"{PREDICT} {{videos}}/street.avi --model={{baseline}}/export --output_dir={{out}} "
    "--runtime=tensorflow --labels=png --batch_size=2 --every=2 --frames=4 --size=32x48 --smooth=3",
    "predict_onnx": f"{PREDICT} {{videos}}/street.avi --model={{baseline}}/export --output_dir={{out}} "
    "--runtime=onnx --labels=npz --frames=3",
    "predict_litert": f"{PREDICT} {{videos}}/street.avi --model={{baseline}}/export --output_dir={{out}} "
    "--runtime=litert --labels=none --frames=3",
    "predict_int8": f"{PREDICT} {{videos}}/street.avi --model={{baseline}}/export --output_dir={{out}} "
    "--runtime=litert_int8 --frames=3",
    "label": f"{LABEL} {{videos}}/street.avi --output_dir={{out}} --frames=3 --seconds=0.2-3 --every=2 "
    "--size=32x48",
    "label_the_unsure": f"{LABEL} {{videos}}/street.avi --output_dir={{out}} --frames=3 --model={{baseline}}",
    "import": f"{IMPORT} {{masks}}/masks --video={{videos}}/street.avi --output_dir={{out}} "
    "--temporal_context=2 --image_size=32x48 --val_share=0.4 --classes={masks}/classes.txt --background=rest",
    "import_frames": f"{IMPORT} {{masks}}/masks --frames={{masks}}/frames --output_dir={{out}} "
    "--classes={masks}/classes.txt",
    "view": f"{VIEW} {{baseline}} --split=val --frames=3 --max_clips=1 --data_dir={{clips}} "
    "--output_dir={out}",
    "view_train": f"{VIEW} {{baseline}} --split=train --output_dir={{out}}",
    "view_test": f"{VIEW} {{baseline}} --split=test --output_dir={{out}}",
    "view_auto": f"{VIEW} {{slow}} --split=auto --output_dir={{out}}",
    "report": f"{REPORT} {{baseline}} {{pseudo}} --output={{out}}/report.html --reference=pseudo",
    "one_arm": f"{SWEEP} --output_dir={{out}} --seeds=3 --arm 'base: --method=baseline' -- {_TINY} "
    "--model=fcn8s",
    "three_workers": f"{CLUSTER} --workers=3 -- --strategy=multi_worker {_TINY} --method=baseline "
    "--model=fcn8s --batch_size=3 --model_dir={out}",
    # With a stand-in for train.py
    "sweep_arms": f"{SWEEP} --output_dir={{out}} --seeds=0,1 --jobs=2 --vary taf_weight=1,2 --reference=base "
    "--arm 'base: --method=baseline'",
    **{
        f"sweep_{study}": f"{SWEEP} --output_dir={{out}} --seeds=0 --jobs=2 --study={study}"
        for study in presets.SWEEPS
    },
    "table1_camvid": f"{TABLE1} --dataset=camvid --data_dir={{camvid}} --output_dir={{out}} --rows=1,2 "
    "--seeds=0,1 --jobs=2",
    "table1_cityscapes": f"{TABLE1} --dataset=cityscapes --data_dir={{cityscapes}} --output_dir={{out}} "
    "--rows=7,8 --dry_run --sustained_tflops=5 -- --image_size=64x64 --crop_size=64x64",
}
TEST_OF_LINES = "end_to_end/test_every_option.py::test_a_line_runs_to_its_result"

# (program, option, value) -> FILE::FUNCTION in tests. "" is any other value than the default.
ELSEWHERE = {
    (TRAIN, "strategy", "mirrored"): "training/test_interruption.py::test_a_sigterm_on_two_replicas",
    (TRAIN, "replicas", ""): "training/test_interruption.py::test_a_sigterm_on_two_replicas",
    (TRAIN, "jit_compile", "true"): (
        "training/test_xla.py::test_a_run_that_xla_compiles_from_beginning_to_end"
    ),
    (TRAIN, "allow_outside_files", "false"): (
        "end_to_end/test_every_option.py::test_bad_and_outside_files_need_their_flags"
    ),
    **{
        (command, "executor", "ray"): f"experiments/test_ray_executor.py::{test}"
        for command, test in (
            (SWEEP, "test_what_ends_a_sweep_ends_its_runs_on_all_nodes_and_it_goes_on_later"),
            (TABLE1, "test_table1_on_ray"),
        )
    },
    **{
        (IMPORT, "format", kind): "label_formats/test_tools.py::test_every_export_becomes_a_data_set"
        for kind in (
            *("cvat_mask", "cvat_xml", "camvid", "coco", "labelme", "label_studio", "roboflow"),
            *("supervisely", "voc", "plain"),
        )
    },
    # Nothing is downloaded in a test: something else stands in for the weights.
    (TRAIN, "backbone_weights", "imagenet"): (
        "models/test_models.py::test_imagenet_weights_of_a_fixed_size_serve_every_size"
    ),
    (TRAIN, "backbone_weights", "auto"): (
        "training/test_initial_weights.py::test_auto_is_imagenet_where_that_can_be_had"
    ),
}

# --- What is documented -----------------------------------------------------------------------------

# Choices that only the help's text has; the last of them may stand for all other values.
_CHOICES = {
    (TRAIN, "backbone"): (*config.BACKBONES, config.KERAS_CV_PREFIX),
    (TRAIN, "backbone_weights"): (*config.BACKBONE_WEIGHTS, "PATH"),
    (TRAIN, "output_stride"): tuple(map(str, config.OUTPUT_STRIDES["deeplabv3plus"])),
    (TRAIN, "change_rates"): ("auto", "NAME=NUMBER", "NUMBERS"),
    (TRAIN, "model"): (*config.BRANCHES, "FILE.keras", "FILE.py:FUNCTION"),
    (TRAIN, "export_formats"): config.EXPORT_FORMATS,
    (ADVISE, "dataset"): config.DATASETS,
    (ADVISE, "on_bad_file"): config.ON_BAD_FILE,
    (ADVISE, "places"): ("auto", "same", "new"),
    (CHECK, "dataset"): config.DATASETS,
    (CHECK, "method"): config.METHODS,
    (CHECK, "labels"): config.LABELS,
    (CHECK, "on_bad_file"): config.ON_BAD_FILE,
    (EXTRACT, "index_offset"): ("auto", "INT"),
}


def commands() -> set[str]:
    """The modules that README, docs, docstrings or messages tell to run."""
    files = [ROOT / name for name in ("README.md", TRAIN, EVALUATE)]
    files += [*(ROOT / "docs").glob("*.md"), *(ROOT / "taf_keras").rglob("*.py")]
    texts = (path.read_text(encoding="utf-8") for path in files)
    return {name for text in texts for name in re.findall(r"python -m (taf_keras[\w.]*\w)", text)}


def documented(program: str) -> dict[str, tuple[str, ...]]:
    """Option -> the values it can have; ("",) where these are no list of choices."""
    found = {}
    if program.endswith(".py"):
        values = flag_values(program, [])
        for name in values:
            flag = values[name]
            match = re.match(r"<([\w|]+)> ", flag.help)
            choices = ("true", "false") if flag.boolean else tuple(match[1].split("|")) if match else ("",)
            found[name] = _CHOICES.get((program, name), choices)
        return found | ({"flagfile": tuple(RECIPES)} if program == TRAIN else {})
    parser, _ = parsed(program, ["--help"])
    for name, action in actions(parser):
        choices = ("true", "false") if action.nargs == 0 else tuple(map(str, action.choices or ("",)))
        found[name] = _CHOICES.get((program, name), choices)
    return found


def executed() -> dict[tuple[str, str, str], list[str]]:
    """The table: (program, option, value) -> the tests that execute it."""
    table = {key: [test] for key, test in ELSEWHERE.items()}
    for name, line in LINES.items():
        program, *words = split(line)
        for key in values_of(program, words):
            table.setdefault(key, []).append(f"{TEST_OF_LINES}[{name}]")
    return table


def split(line: str, **folders) -> list[str]:
    """The words of one of LINES; folders that are not given stay in braces."""
    for name, folder in ({"recipes": ROOT / "flags" / "recipes"} | folders).items():
        line = line.replace(f"{{{name}}}", str(folder))
    return shlex.split(line)


def values_of(program: str, words: list[str]) -> Iterator[tuple[str, str, str]]:
    """(program, option, value) of what a command line executes; "" is any other value than the default."""
    if program.endswith(".py"):
        values = flag_values(program, words)
        acts = acting(config_from_flags(values), words) if program == TRAIN else None
        found = [
            (name, values[name].value, values[name].default, values[name].boolean)
            for name in values
            if acts is None or acts.get(name, True)
        ]
        yield from ((TRAIN, "flagfile", Path(w).stem) for w in words if w.startswith("--flagfile="))
    else:
        parser, options = parsed(program, words)
        found = [
            (name, getattr(options, action.dest), action.default, action.nargs == 0)
            for name, action in actions(parser)
        ]
        if program == CLUSTER:  # which runs train.py itself
            yield from values_of(TRAIN, words[words.index("--") + 1 :])
    choices = documented(program)
    for name, value, default, boolean in found:
        if boolean:
            yield program, name, str(value).lower()
        elif choices[name] != ("",):
            for part in filter(None, as_text(value).split(",")):
                yield program, name, _choice(choices[name], part)
        elif value != default:
            yield program, name, ""


def acting(run: Config, words: list[str]) -> dict[str, bool]:
    """Flag -> whether it has an effect in this run; those that always have one are left out."""
    method, dataset = run.taf.method, run.data.dataset
    conditions = {
        "temporal_context partner batch_norm_frames": run.uses_partners,
        "taf_weight change_rates contrastive_loss contrast_on relative_change_rates symmetric": method
        in ("taf", "slow")
        or run.swaps,
        "rates_from rates_quantile": run.measures_rates,
        "partner_label_weight": run.labels_partners,
        "flow_tolerance_px": method == "propagate",
        "teacher": method == "pseudo",
        "confidence": method in ("pseudo", "mean_teacher"),
        "teacher_momentum": method == "mean_teacher",
        "scene_seed drift train_clips val_clips test_clips": dataset == "synthetic",
        "on_bad_file": dataset != "synthetic",
        "allow_outside_files": dataset == "manifest",
        "subset_seed": min(run.data.subset, run.data.label_fraction) < 1,
        "head_channels": run.model.model == "deeplabv3plus",
        "backbone backbone_width backbone_weights output_stride": has_real_backbone(words),
        "batch_norm_momentum": not run.model.is_own,
    }
    return {name: condition for names, condition in conditions.items() for name in names.split()}


def has_real_backbone(words: list[str]) -> bool:
    return any(word.startswith("--backbone=") for word in words)


def as_text(value) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ",".join("=".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in value)
    return str(value)


def _choice(choices: tuple[str, ...], value: str) -> str:
    if value in choices:
        return value
    for form in (".keras", ".py:", "="):
        if form in value:
            return next(choice for choice in choices if form in choice)
    last = choices[-1]
    assert last.isupper() or value.startswith(last), f"{value} is none of {choices}"
    return last


# --- Reading command lines --------------------------------------------------------------------------


def flag_values(program: str, words: list[str]) -> absl_flags.FlagValues:
    """The flags of train.py or evaluate.py, parsed."""
    values = absl_flags.FlagValues()
    for module in CONFIG_MODULES if program == TRAIN else (evaluation,):
        module.define(values)
    values([program, *words])
    return values


def run_command(module: str, words: list[str]) -> None:
    """`python -m MODULE WORDS…`, in this process. Raises: AssertionError for an exit code other than 0."""
    argv, sys.argv = sys.argv, [module, *words]
    try:
        runpy.run_module(module, run_name="__main__")
    except SystemExit as ended:
        if ended.code:
            raise AssertionError(f"{module} ended with {ended.code}") from None
    finally:
        sys.argv = argv


class _Parsed(BaseException):
    """What a command has got from its parser, in place of the command's work."""


@contextmanager
def _stopping_at_the_parser():
    original = argparse.ArgumentParser.parse_args

    def parse_args(parser, arguments=None):
        words = sys.argv[1:] if arguments is None else arguments
        raise _Parsed(parser, None if "--help" in words else original(parser, words))

    argparse.ArgumentParser.parse_args = parse_args
    try:
        yield
    finally:
        argparse.ArgumentParser.parse_args = original


def parsed(module: str, words: list[str]) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The parser of a command, and what it makes of the words; None of --help."""
    try:
        with _stopping_at_the_parser():
            run_command(module, words)
    except _Parsed as found:
        return found.args
    raise AssertionError(f"{module} has no parser")


def actions(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    for action in parser._actions:
        if action.dest != "help":
            yield action.option_strings[0].lstrip("-") if action.option_strings else action.dest, action


if __name__ == "__main__":
    for (program, option, value), tests in sorted(executed().items()):
        shown = f"--{option}={value}" if value else f"--{option}"
        print(f"{program:38}{shown:60}{tests[0]}")
