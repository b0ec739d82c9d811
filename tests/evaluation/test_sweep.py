import numpy as np
import pandas as pd
import pytest

from taf_keras.errors import UserError
from taf_keras.evaluation import sweep

FAKE_TRAIN = """
import json, pathlib, sys
flags = dict(flag.lstrip("-").split("=") for flag in sys.argv[1:])
folder = pathlib.Path(flags["model_dir"])
if flags.get("fail") == flags["seed"]:
    sys.exit("error: --fail is not allowed")
folder.mkdir(parents=True)
with open(folder.parent.parent / "trained.txt", "a") as log:
    log.write(folder.parent.name + flags["seed"] + "\\n")
miou = 0.3 + 0.01 * int(flags["seed"]) + float(flags.get("gain", 0))
(folder / "metrics.json").write_text(json.dumps({"miou": miou, "pixel_accuracy": 0.5}))
"""


@pytest.fixture
def fake_train(tmp_path, monkeypatch):
    script = tmp_path / "train.py"
    script.write_text(FAKE_TRAIN)
    monkeypatch.setattr(sweep, "TRAIN", script)
    return tmp_path / "runs"


def test_the_comparison_is_paired_by_seed(fake_train, capsys):
    sweep.main([f"--output_dir={fake_train}", "--seeds=0,1,2", "--arm=base:", "--arm=taf: --gain=0.02"])
    table = pd.read_csv(fake_train / "results.csv").set_index("arm")
    # Seeds give 30, 31, 32 %: standard deviation 1, standard error 1/√3. Every pair differs by 2.
    assert table.loc["base", "miou"] == pytest.approx(31)
    assert table.loc["base", "miou_se"] == pytest.approx(1 / np.sqrt(3))
    assert table.loc["taf", "miou_difference"] == pytest.approx(2)
    assert table.loc["taf", "miou_difference_se"] == pytest.approx(0, abs=1e-9)
    assert "+2.00 ± 0.00" in capsys.readouterr().out


def test_finished_runs_are_not_repeated_and_failures_stop_nothing(fake_train, capsys):
    arguments = [f"--output_dir={fake_train}", "--seeds=0,1", "--jobs=2", "--arm=a:", "--arm=b: --fail=0"]
    with pytest.raises(SystemExit):
        sweep.main(arguments)
    assert "failed  b seed 0: error: --fail is not allowed" in capsys.readouterr().out
    assert sorted((fake_train / "trained.txt").read_text().split()) == ["a0", "a1", "b1"]
    with pytest.raises(SystemExit):
        sweep.main(arguments)
    assert sorted((fake_train / "trained.txt").read_text().split()) == ["a0", "a1", "b1"]


def test_a_single_seed_has_no_error():
    results = pd.DataFrame(
        {"arm": ["a", "b"], "seed": [0, 0], "miou": [0.1, 0.2], "pixel_accuracy": [0.5] * 2}
    )
    text = sweep.markdown(sweep.compare(results, "a"), "a")
    assert "| b | 1 | 20.00 | +10.00 | 50.00 | +0.00 |" in text


def test_unpaired_seeds_enter_no_difference():
    results = pd.DataFrame(
        {"arm": ["a", "a", "b"], "seed": [0, 1, 1], "miou": [0.1, 0.2, 0.5], "pixel_accuracy": [0.1] * 3}
    )
    row = sweep.compare(results, "a").set_index("arm").loc["b"]
    assert row.miou_difference == pytest.approx(30)
    assert np.isnan(row.miou_difference_se)


@pytest.mark.parametrize("arms", [["taf"], ["a:", "a:"], [": --x"], ["a/b:"]])
def test_malformed_arms_are_refused(arms):
    with pytest.raises(UserError, match="write NAME: FLAGS"):
        sweep.parse_arms(arms)


def test_the_script_that_it_starts_exists():
    assert sweep.TRAIN.is_file()
