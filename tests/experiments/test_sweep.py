"""Sweeps with a stub in place of train.py."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from stub_trainer import ROOT, trained, write_trainer

from taf_keras import sweep
from taf_keras.command_line import TRAIN, parse_config
from taf_keras.config import Config, PartnerLabelConfig, RuntimeConfig, TAFConfig
from taf_keras.errors import UserError
from taf_keras.experiments import arms, comparison, execute, plan

# A sweep of its own process, with the trainer in place of train.py.
SWEEP = """
import sys
from taf_keras import sweep
sweep.main(sys.argv[2:], (sys.executable, sys.argv[1]))
"""


@pytest.fixture
def trainer(tmp_path) -> Path:
    return write_trainer(tmp_path)


def run_sweep(trainer: Path, *arguments: str) -> Path:
    folder = trainer.parent / "runs"
    sweep.main([f"--output_dir={folder}", *arguments], (sys.executable, str(trainer)))
    return folder


def refusal(capsys, trainer: Path, *arguments: str) -> str:
    """The line with which a sweep refuses its input."""
    with pytest.raises(SystemExit) as exit:
        run_sweep(trainer, *arguments)
    assert exit.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


BASELINE, TAF = "--arm=base: --method=baseline", "--arm=taf:"


def test_the_comparison_is_paired_by_seed(trainer, capsys):
    folder = run_sweep(trainer, "--seeds=0,1,2", "--jobs=2", BASELINE, TAF)
    table = pd.read_csv(folder / "results.csv").set_index("arm")
    # Seeds give 30, 31, 32 %: standard deviation 1, standard error 1/√3. Every pair differs by 2.
    assert table.loc["base", "miou"] == pytest.approx(31)
    assert table.loc["base", "miou_se"] == pytest.approx(1 / np.sqrt(3))
    assert table.loc["taf", "miou_difference"] == pytest.approx(2)
    assert table.loc["taf", "miou_difference_se"] == pytest.approx(0, abs=1e-9)
    assert "| taf | 3 | 33.00 ± 0.58 | +2.00 ± 0.00 |" in capsys.readouterr().out
    per_run = pd.read_csv(folder / "runs.csv")
    assert per_run.query("arm == 'taf' and seed == 2").miou.item() == pytest.approx(0.34)
    assert cv2.imread(str(folder / "miou.png")).std() > 0
    assert {path.name for path in folder.iterdir()} == {"base", "taf", ".lock", *arms.FILES}
    assert hparams(folder / "tensorboard" / "taf" / "seed-2") == {
        "arm": "taf",
        "method": "taf",
        "seed": 2,
        "miou": pytest.approx(0.34),
        "pixel_accuracy": 0.5,
    }


def hparams(folder: Path) -> dict:
    """Hyperparameters and metrics that TensorBoard would show for one run."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams import plugin_data_pb2
    from tensorboard.util.tensor_util import make_ndarray

    (file,) = folder.iterdir()
    found = {}
    for event in EventFileLoader(str(file)).Load():
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "hparams":
                data = plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
                for name, entry in data.session_start_info.hparams.items():
                    found[name] = getattr(entry, entry.WhichOneof("kind"))
            else:
                found[value.tag] = make_ndarray(value.tensor).item()
    return found


def test_runs_before_and_after_labels_were_added_are_not_compared_without_a_word(trainer, capsys):
    run_sweep(trainer, "--seeds=0", BASELINE)
    write_trainer(trainer.parent, {'"frames": 1': '"frames": 20', "clips=CLIPS[:1]": "clips=CLIPS"})
    folder = run_sweep(trainer, "--seeds=0", BASELINE, TAF)
    output, errors = capsys.readouterr()
    assert "| taf | 1 | 32.00 |  | 50.00 |  |" in output
    assert errors.splitlines() == [
        "warning: base, seed 0 was evaluated on test, 1 frames; taf, seed 0 on test, 20 frames: between such "
        "runs differences are left out",
        "warning: taf, seed 0 was trained on other clips (2) than base, seed 0 (1), with the same settings: "
        "the data have changed between them; in another folder both can be trained anew",
    ]
    assert list(pd.read_csv(folder / "runs.csv").evaluated_on) == ["test, 1 frames", "test, 20 frames"]


def test_splits_are_no_pairs(trainer, capsys):
    run_sweep(trainer, "--seeds=0", "--vary=eval_split=val,test")
    output, errors = capsys.readouterr()
    assert "| eval_split=test | 1 | 32.00 |  | 50.00 |  |" in output
    assert errors == (
        "warning: eval_split=val, seed 0 was evaluated on val, 1 frames; eval_split=test, seed 0 on test, 1 "
        "frames: between such runs differences are left out\n"
    )


def test_a_failed_run_stops_no_other_and_finished_ones_are_not_repeated(trainer, capsys):
    arguments = ["--seeds=0,1", "--jobs=2", BASELINE, "--arm=luckless: --taf_weight=13"]
    for attempt in (1, 2):
        with pytest.raises(SystemExit) as exit:
            run_sweep(trainer, *arguments)
        assert exit.value.code == 1
        assert "failed  luckless seed 1: error: no luck" in capsys.readouterr().out
        luckless = ["luckless/seed-0"] * attempt + ["luckless/seed-1"] * attempt
        assert trained(trainer) == ["base/seed-0", "base/seed-1", *luckless]
        log = trainer.parent / "runs" / "base" / "seed-0.log"
        assert log.read_text() == ("" if attempt == 1 else "as it was\n")  # not even started again
        log.write_text("as it was\n")


def test_formats_may_be_added_to_runs_that_have_ended(trainer):
    """The log of the training stays."""
    run_sweep(trainer, "--seeds=0", BASELINE)
    log = trainer.parent / "runs" / "base" / "seed-0.log"
    log.write_text("as it was\n")
    run_sweep(trainer, "--seeds=0", BASELINE, "--", "--export_formats=onnx")
    assert log.read_text() == "as it was\nhas ended already\n"
    assert trained(trainer) == ["base/seed-0"]


def test_of_a_killed_run_the_signal_is_said(trainer, capsys):
    with pytest.raises(SystemExit):
        run_sweep(trainer, "--seeds=0", "--arm=killed: --taf_weight=14")
    log = trainer.parent / "runs" / "killed" / "seed-0.log"
    assert f"failed  killed seed 0: killed by signal 9 ({log})" in capsys.readouterr().out
    assert log.read_text() == "in the middle of\n"


def test_a_folder_with_other_settings_is_refused_before_anything_starts(trainer, capsys):
    run_sweep(trainer, "--seeds=0", BASELINE)
    error = refusal(capsys, trainer, "--seeds=0", TAF, f"{BASELINE} --learning_rate=0.3")
    assert "holds another run (training.learning_rate=0.2, now 0.3)" in error
    assert trained(trainer) == ["base/seed-0"]


def test_an_interrupted_run_of_other_settings_is_refused_before_anything_starts(trainer, capsys):
    """Its log stays."""
    luckless = "--arm=luckless: --taf_weight=13"
    with pytest.raises(SystemExit):
        run_sweep(trainer, "--seeds=0,1", luckless)
    capsys.readouterr()
    error = refusal(capsys, trainer, "--seeds=0,1", BASELINE, f"{luckless} --epochs=3")
    assert f"--model_dir={trainer.parent}/runs/luckless/seed-0: holds another run (training.epochs=" in error
    assert error.endswith(
        "now 3: --epochs sets the learning rate of every step, the earlier ones too); choose "
        "another folder, or the same settings to resume that run (and 1 more)"
    )
    assert trained(trainer) == ["luckless/seed-0", "luckless/seed-1"]
    assert (trainer.parent / "runs" / "luckless" / "seed-0.log").read_text() == "error: no luck\n"


PSEUDO, MEASURED, FINER = (
    f"--arm=other: {flags}/seed-{{seed}}"
    for flags in (
        "--method=pseudo --teacher=runs/bsae",
        "--change_rates=auto --rates_from=runs/bsae",
        "--init_from=runs/bsae",
    )
)


@pytest.mark.parametrize(
    ("arm", "flag"), [(PSEUDO, "teacher"), (MEASURED, "rates_from"), (FINER, "init_from")]
)
def test_a_run_that_nobody_trains_is_refused_before_anything_starts(trainer, arm, flag, capsys, monkeypatch):
    monkeypatch.chdir(trainer.parent)
    assert refusal(capsys, trainer, "--seeds=0,1", BASELINE, arm) == (
        f"error: arm 'other', seed 0: --{flag}=runs/bsae/seed-0: is not the model_dir of a run that has "
        "ended, or of a run of this command (and 1 more)"
    )
    assert not Path(f"{trainer}.trained").exists()
    # One that has ended does, and is not asked for again.
    earlier = run_sweep(trainer, "--seeds=0,1", "--arm=bsae: --method=baseline") / "bsae"
    run_sweep(trainer, "--seeds=0,1", BASELINE, arm)
    earlier.rename(trainer.parent / "elsewhere")
    run_sweep(trainer, "--seeds=0,1", BASELINE, arm)
    assert len(trained(trainer)) == 6


def test_an_interrupted_run_goes_on_with_the_rates_that_it_measured(trainer, tmp_path):
    """Without the run that they were measured on."""
    arm = arms.Arm("measured", ("--change_rates=auto", f"--rates_from={tmp_path}/gone"))
    (job,) = plan.plan([arm], [0], tmp_path / "runs", parse_config)
    with pytest.raises(UserError, match=r"arm 'measured', seed 0: --rates_from=.*/gone: is not"):
        execute._refuse_hopeless([job])
    rates = replace(job.config.taf, change_rates=(0.1, 0.2, 0.3, 0.4, 0.5))
    job.run.claim(replace(job.config, taf=rates)).close()
    execute._refuse_hopeless([job])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([BASELINE, "--arm=bad: --learning_rate=0"], "arm 'bad': --learning_rate=0.0: must be positive"),
        ([BASELINE, "--arm=bad: --learning_rat=1"], "arm 'bad': Unknown command line flag 'learning_rat'"),
        ([BASELINE, "--vary=taf_weight=1,-1"], "arm 'taf_weight=-1': --taf_weight=-1.0"),
        (["--vary=taf_weight=1", "--", "--epochs=0"], "arm 'taf_weight=1': --epochs=0"),
        (["--study=change_rate", "--", "--epochs=0"], "--epochs=0: must be 1 or more"),
        ([BASELINE, BASELINE], "arm 'base': each name once"),
        (["--arm=taf"], "write NAME: FLAGS"),
        (["--arm=: --epochs=1"], "must not be empty"),
        (["--arm=..: --epochs=1"], "begin with a dot"),
        (["--arm=a/b:"], "hold a slash"),
        *(([f"--arm={name}:"], f"arm {name!r}: its name becomes a folder") for name in arms.FILES),
        ([f"--arm={'ä' * 128}:"], "be longer than 255 bytes"),
        (["--arm=a: --x='b"], "write NAME: FLAGS, in quotes as for a shell (No closing quotation)"),
        (["--arm=a: --seed=1"], "use --seeds"),
        ([TAF, "--", "--model_dir=x"], "use --seeds and --output_dir"),
        ([TAF, "--vary=taf_weight"], "write FLAG=A,B"),
        (["--vary=taf_weight=1,1"], "each value once"),
        (["--vary=taf_weight=1", "--vary=taf_weight=2"], "each flag once"),
        (["--vary=taf_weight=1", "--study=change_rate"], "one of the two"),
        ([TAF, "--reference=base"], "--reference=base: allowed are taf"),
        ([TAF, "--seeds=0,0"], "--seeds=0,0"),
        ([TAF, "--seeds=a"], "--seeds=a"),
        ([TAF, "--jobs=0"], "--jobs=0"),
        ([TAF, f"--output_dir={__file__}"], f"--output_dir={__file__}: must be a folder that can be written"),
        ([TAF, f"--output_dir={__file__}/runs"], "py/runs: must be a folder that can be written"),
        ([TAF, "--output_dir=/proc/self"], "--output_dir=/proc/self: must be a folder that can be written"),
        ([TAF, f"--output_dir={'a' * 256}"], "aa: must be a folder that can be written (File name too long)"),
        ([], "nothing to train"),
    ],
)
def test_bad_input_is_refused_in_one_line_before_anything_starts(trainer, arguments, message, capsys):
    assert message in refusal(capsys, trainer, *arguments)
    assert not Path(f"{trainer}.trained").exists()


def test_a_folder_that_has_become_read_only_is_refused(tmp_path, monkeypatch):
    with execute.locked(tmp_path):
        pass

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)  # permissions do not stop root
    with pytest.raises(UserError, match=r"that can be written \(Read-only"), execute.locked(tmp_path):
        pass


def test_a_file_in_the_place_of_an_arms_folder_is_named(trainer, capsys):
    folder = trainer.parent / "runs"
    folder.mkdir()
    (folder / "taf").write_text("")
    expected = f"error: {folder}/taf/seed-0.log: cannot be written: "
    assert expected in refusal(capsys, trainer, "--seeds=0", TAF)


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_sweep(trainer: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen:
    command = [*prefix, sys.executable, "-c", SWEEP, str(trainer)]
    command += [f"--output_dir={trainer.parent / 'runs'}", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


# One short arm, and two long ones of which one must wait for the other.
SLOW = ["--seeds=0", "--jobs=2", BASELINE, "--arm=x: --epochs=1000", "--arm=y: --epochs=1000", "--arm=z:"]


# What a shell's background job begins with.
IGNORING_SIGINT = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")


@pytest.mark.parametrize(
    ("number", "prefix"), [(signal.SIGINT, ()), (signal.SIGTERM, ()), (signal.SIGINT, IGNORING_SIGINT)]
)
def test_an_interrupted_sweep_ends_its_runs_and_goes_on_later(trainer, number, prefix):
    process = start_sweep(trainer, *SLOW, prefix=prefix)
    log = trainer.parent / "runs" / "y" / "seed-0.log"
    wait_for(log.is_file)  # base/seed-0 has ended
    wait_for(lambda: Path(f"{trainer}.trained").read_text().count("\n") == 3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert errors.strip() == "interrupted; the same command goes on where it stopped"
    assert log.read_text() == "interrupted\n"
    assert trained(trainer) == ["base/seed-0", "x/seed-0", "y/seed-0"]

    trainer.write_text(
        trainer.read_text().replace("sleep(100)", "sleep(0)")
    )  # what was left to do was little
    run_sweep(trainer, *SLOW)
    assert trained(trainer) == ["base/seed-0", *["x/seed-0"] * 2, *["y/seed-0"] * 2, "z/seed-0"]


def test_what_a_killed_sweep_leaves_behind_keeps_the_folder(trainer, capsys):
    process = start_sweep(trainer, "--seeds=0", "--arm=x: --epochs=1000")
    wait_for(Path(f"{trainer}.trained").is_file)
    process.kill()
    process.communicate()
    left = find_process(trainer)
    try:
        assert "runs of this folder are still at work" in refusal(capsys, trainer, "--seeds=0", TAF)
    finally:
        os.kill(left, signal.SIGKILL)
    wait_for(lambda: find_process(trainer) is None)
    run_sweep(trainer, "--seeds=0", TAF)


def find_process(trainer: Path) -> int | None:
    """The id of the process that runs the trainer."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().split(b"\0")[1:2] == [str(trainer).encode()]:
                return int(folder.name)
        except OSError:
            continue
    return None


def test_a_run_starts_when_its_teacher_has_ended(trainer):
    teacher = trainer.parent / "elsewhere" / ".." / "runs" / "base" / "seed-{seed}"
    (trainer.parent / "elsewhere").mkdir()
    run_sweep(
        trainer,
        *("--seeds=0,1", "--jobs=2", f"--arm=pseudo: --method=pseudo --teacher={teacher}", BASELINE),
    )
    order = Path(f"{trainer}.trained").read_text().split()
    assert sorted(order) == ["base/seed-0", "base/seed-1", "pseudo/seed-0", "pseudo/seed-1"]
    for seed in (0, 1):
        assert order.index(f"base/seed-{seed}") < order.index(f"pseudo/seed-{seed}")


def test_the_next_run_needs_none_that_has_yet_to_end(tmp_path):
    def run(arm: str, other: str, **taf) -> plan.Job:
        """Its flags name the run of the arm `other`, which not every method needs."""
        path = f"{tmp_path}/{other}/seed-3"
        config = Config(
            taf=TAFConfig(rates_from=path, **taf),
            partner_labels=PartnerLabelConfig(teacher=path),
            runtime=RuntimeConfig(model_dir=f"{tmp_path}/{arm}/seed-3"),
        )
        return plan.Job(arm, (), config)

    base, pseudo = run("base", "base"), run("pseudo", "base", method="pseudo")
    measured = run("measured", "base", change_rates="auto")
    assert execute._next([pseudo, measured, base], []) is base
    fine = run("fine", "base", method="baseline")
    begun = replace(fine.config.training, init_from=base.config.runtime.model_dir)
    fine = replace(fine, config=replace(fine.config, training=begun))
    assert execute._next([fine, base], []) is base
    assert execute._next([fine], [base]) is None
    assert execute._next([pseudo, measured], [base]) is None
    assert execute._next([pseudo, measured], []) is pseudo
    # What could wait for ever starts when nothing else is left, and fails by itself.
    a, b, own = (run(*names, method="pseudo") for names in [("a", "b"), ("b", "a"), ("own", "own")])
    assert execute._next([a, b, own, pseudo], [base]) is None
    assert execute._next([a, b, own, pseudo], []) is pseudo
    assert execute._next([a, b, own], []) is a
    assert execute._next([own], [a]) is None
    assert execute._next([own], []) is own


def test_a_grid_has_an_arm_for_each_combination():
    varied = dict(map(arms.parse_varied, ["--taf_weight=0,1", "change_rates=0,inf,inf;inf,inf,inf"]))
    assert [(arm.flags, arm.point) for arm in arms.grid(varied)] == [
        ((f"--taf_weight={w}", f"--change_rates={c}"), (w, c))
        for w in ("0", "1")
        for c in ("0,inf,inf", "inf,inf,inf")
    ]


@pytest.mark.parametrize("varied", [["taf_weight=0,1,3"], ["taf_weight=0,1", "drift=0,1,2"], []])
def test_every_kind_of_experiment_has_its_chart(tmp_path, varied):
    from taf_keras.experiments.arms_chart import plot_arms

    # A name with what matplotlib would take for a formula, and a wrong one.
    built = sweep.build_sweep([BASELINE[6:], TAF[6:], "cost $x_$:"], varied, None, None, [])
    names = [arm.name for arm in built.arms]
    results = pd.DataFrame(
        {"arm": names, "seed": 0, "miou": np.linspace(0.3, 0.4, len(names)), "pixel_accuracy": 0.5}
    ).assign(evaluated_on="test, 9 frames")
    compared = comparison.compare(results, "base")
    path = plot_arms(compared, built, tmp_path / "miou.png", tmp_path / "logs")
    assert cv2.imread(str(path)).std() > 0
    assert list((tmp_path / "logs").iterdir())


def test_the_time_left_counts_epochs_of_unfinished_runs(tmp_path):
    (job,) = plan.plan([arms.Arm("a", ("--epochs=4",))], [0], tmp_path, parse_config)
    shown = []
    for rows, running in [(0, {}), (3, {job: None}), (4, {job: None}), (4, {})]:
        job.run.folder.mkdir(parents=True, exist_ok=True)
        job.run.history_file.write_text("epoch,loss\n" + "0,1\n" * rows)
        shown.append(execute._state([job], running, []))
    # The last epoch of a run counts when the run has ended.
    assert [done for done, _, _ in shown] == [0, 3, 3, 4]
    assert {total for _, total, _ in shown} == {4}
    assert execute._state([job], {}, [job]) == (0, 0, "0 of 1 runs, 1 failed")


def test_an_arms_flags_win_over_common_ones(tmp_path):
    own = [arms.Arm("a", ("--taf_weight=2",)), arms.Arm("b", ())]
    a, b = plan.plan(own, [3], tmp_path, parse_config, ["--taf_weight=1", "--epochs=5"])
    assert (a.config.taf.weight, b.config.taf.weight) == (2, 1)
    flags = ("--taf_weight=1", "--epochs=5", "--taf_weight=2")
    assert a.arguments == (*flags, "--seed=3", f"--model_dir={tmp_path}/a/seed-3")


def test_a_flag_may_hold_the_seed(tmp_path):
    arm = arms.Arm("a", ("--method=pseudo", "--teacher=b/seed-{seed}"))
    (job,) = plan.plan([arm], [3], tmp_path, parse_config)
    assert job.arguments[:2] == ("--method=pseudo", "--teacher=b/seed-3")
    assert job.config.partner_labels.teacher == "b/seed-3"


def test_the_script_that_it_starts_exists():
    assert Path(TRAIN[1]).is_file()


def test_flags_are_read_as_train_py_reads_them(tmp_path):
    flagfile = tmp_path / "a.flags"
    flagfile.write_text("--taf_weight=2\n--epochs=7\n")
    good = parse_config([f"--flagfile={flagfile}", "--epochs=8"])
    assert (good.taf.weight, good.training.epochs) == (2, 8)
    with pytest.raises(UserError, match=r"^--epochs=0: must be 1 or more$"):
        parse_config(["--epochs=0"])
