"""The scripts as a user meets them: fast help, and one clear line for bad input."""

import subprocess
import sys
from pathlib import Path

import pytest

from taf_keras.command_line import parse_config
from taf_keras.errors import UserError

ROOT = Path(__file__).parents[1]


def python(*args, cwd) -> subprocess.CompletedProcess:
    """Runs Python in an empty folder, so that nothing is found because the test runs in the project's."""
    command = [sys.executable, *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def error_line(result: subprocess.CompletedProcess) -> str:
    """The one line on stderr of a script that refused its input."""
    assert "Traceback" not in result.stderr, result.stderr
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_help_imports_nothing_heavy(script, tmp_path):
    """What makes --help slow is TensorFlow; the imports tell it apart from a busy machine."""
    result = python("-X", "importtime", ROOT / script, "--help", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rsplit("|", 1)[1].strip() for line in lines}
    assert not {"tensorflow", "keras", "keras_cv", "numpy", "cv2"} & imported
    own = {name for name in imported if name.split(".")[0] == "taf_keras"}
    light = ("command", "config", "errors", "files", "settings", "sizes")
    assert own == {"taf_keras", *(f"taf_keras.{name}" for name in light)}


@pytest.mark.parametrize(
    ("script", "shown", "hidden"),
    [
        (
            "train.py",
            ["--dataset:", "--model:", "--taf_weight:", "--epochs:", "--model_dir:"],
            ["--checkpoint:"],
        ),
        (
            "evaluate.py",
            ["--split:", "--checkpoint:", "--model_dir:", "--data_dir:"],
            ["--epochs:", "--model:"],
        ),
    ],
)
def test_help_lists_the_flags_of_the_script_alone(script, shown, hidden, tmp_path):
    result = python(ROOT / script, "--help", cwd=tmp_path)
    assert result.returncode == 0
    assert f"python {script}" in result.stdout
    assert [flag for flag in shown if flag not in result.stdout] == []
    assert [flag for flag in hidden if flag in result.stdout] == []


BAD_TRAIN_INPUT = {
    "--epoch=3": ["'epoch'", "Did you mean: epochs"],
    "--dataset=kitti": ["--dataset=kitti", "synthetic, camvid, cityscapes"],
    "--dataset=camvid": ["--dataset=camvid", "--data_dir"],
    "--image_size=abc": ["--image_size=abc", "HEIGHTxWIDTH", "360x480"],
    "--change_rates=1e-4,inf": ["--change_rates=0.0001,inf", "5 branches", "needs 5 numbers, not 2"],
    "--image_size=90x120 --crop_size=96x120": ["--crop_size=96x120", "90x120"],
    "--output_stride=7": ["--output_stride=7", "8, 16, 32"],
    "--backbone=vgg16": ["--backbone=vgg16", "resnet50, mobilenetv2", "keras_cv:NAME"],
    "--subset=0": ["--subset=0", "(0, 1]"],
    "--epochs=0": ["--epochs=0", "1 or more"],
    "--epochs=ten": ["--epochs=ten", "a whole number"],
    "--epochs": ["--epochs", "Missing value"],
    "--noflip=3": ["--noflip=3", "does not take an argument"],
    "runs/mine": ["'runs/mine'", "--name=value"],
    "--flip false": ["'false'", "--name=value"],
    "--flagfile=missing.flags": ["--flagfile=missing.flags", "no such file", "recipes are camvid_"],
    "--dataset=a\nb": ["--dataset=a b", "synthetic, camvid, cityscapes"],
}


@pytest.mark.parametrize("arguments", BAD_TRAIN_INPUT)
def test_train_refuses_bad_input_in_one_line(arguments, tmp_path):
    line = error_line(python(ROOT / "train.py", *arguments.split(" "), cwd=tmp_path))
    assert [part for part in BAD_TRAIN_INPUT[arguments] if part not in line] == [], line
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError) as in_process:
        parse_config(arguments.split(" "))
    assert str(in_process.value) == line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("--split=all", ["--split=all", "train, val, test"]),
        ("--epochs=3", ["'epochs'"]),  # a flag of train.py alone
        ("--checkpoint=a --saved_model=b", ["checkpoint=a", "saved_model=b", "not both"]),
        ("runs/mine", ["'runs/mine'", "--name=value"]),
    ],
)
def test_evaluate_refuses_bad_input_in_one_line(arguments, parts, tmp_path):
    line = error_line(python(ROOT / "evaluate.py", *arguments.split(" "), cwd=tmp_path))
    assert [part for part in parts if part not in line] == [], line


def test_a_flag_after_a_flag_file_wins_over_it(tmp_path):
    flags = tmp_path / "two.flags"
    flags.write_text("# comment\n\n--epochs=5\n--subset=2\n")
    assert "--subset=2.0" in error_line(python(ROOT / "train.py", "--flagfile=two.flags", cwd=tmp_path))
    line = error_line(python(ROOT / "train.py", "--flagfile=two.flags", "--subset=3", cwd=tmp_path))
    assert "--subset=3.0" in line


def test_a_recipe_is_found_by_its_name(tmp_path):
    """Read, it asks for what it leaves to the user."""
    recipe = "--flagfile=cityscapes02_deeplabv3plus_resnet50_taf"
    assert "--dataset=cityscapes" in error_line(python(ROOT / "train.py", recipe, cwd=tmp_path))


def run_main(body: str, tmp_path) -> subprocess.CompletedProcess:
    """Runs a script of the project's frame whose main function is `body`."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from flags import script\nfrom taf_keras.errors import UserError\n"
        f"def main():\n    {body}\nscript.run(main)\n"
    )
    return python(script, cwd=tmp_path)


def test_what_the_library_refuses_is_one_line_too(tmp_path):
    result = run_main(
        "raise UserError('labels/a.png: id 12 is not in the table,\\nallowed are 0 to 11')", tmp_path
    )
    assert error_line(result) == "labels/a.png: id 12 is not in the table, allowed are 0 to 11"


def test_an_interrupted_run_ends_with_one_line(tmp_path):
    result = run_main("raise KeyboardInterrupt", tmp_path)
    assert (result.returncode, result.stderr) == (130, "interrupted\n")


def test_a_terminated_run_ends_with_one_line_too(tmp_path):
    result = run_main("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", tmp_path)
    assert (result.returncode, result.stderr) == (143, "interrupted\n")


def test_a_defect_keeps_its_traceback(tmp_path):
    result = run_main("1 / 0", tmp_path)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "ZeroDivisionError" in result.stderr


def test_a_script_that_succeeds_is_silent(tmp_path):
    result = run_main("pass", tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
