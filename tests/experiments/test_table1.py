"""Table 1: rows, commands, costs and numbers; the rows are trained by a stub."""

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import keras
import numpy as np
import pandas as pd
import pytest
from stub_trainer import trained, write_trainer

from taf_keras import table1
from taf_keras.command_line import RECIPES, parse_config
from taf_keras.config import Config, DataConfig
from taf_keras.experiments import gpu_hours, paper_table
from taf_keras.experiments.comparison import results_of

# Small enough for the miniature tree; FCN8s takes no crop below 64 px.
TINY = ["--", "--image_size=64x64", "--crop_size=64x64", "--epochs=1", "--backbone_weights=random"]


def test_the_rows_are_those_of_the_paper():
    camvid, cityscapes = (paper_table.read_rows(RECIPES, name) for name in ("camvid", "cityscapes"))
    assert [row.number for row in camvid + cityscapes] == list(range(1, 15))
    first = camvid[0]
    assert first.title == "FCN8s on ResNet-50, CamVid, without TAF"
    # Table 1, by heart of its first and last pair: 65.3 → 67.1 and 71.7 → 73.0 % mIoU.
    assert [(row.miou, row.pixel_accuracy) for row in camvid[:2]] == [(65.3, 91.0), (67.1, 91.8)]
    assert [(row.miou, row.pixel_accuracy) for row in cityscapes[-2:]] == [(71.7, 96.2), (73.0, 96.3)]
    assert [row.baseline for row in cityscapes[-2:]] == [cityscapes[-2].recipe] * 2


def run_table1(tmp_path, camvid, *arguments, changes: Mapping[str, str] = MappingProxyType({})):
    """Trains rows by the stub. `changes` are made to its text."""
    trainer = write_trainer(tmp_path, changes)
    table1.main(
        [
            "--dataset=camvid",
            f"--data_dir={camvid}",
            f"--output_dir={tmp_path / 'runs'}",
            *arguments,
        ],
        (sys.executable, str(trainer)),
    )
    return trainer


def test_rows_are_trained_by_their_recipes_and_stand_beside_the_paper(tmp_path, camvid, capsys):
    trainer = run_table1(tmp_path, camvid, "--rows=3,4", "--seeds=0,1", *TINY)
    rows = [f"camvid_deeplabv3plus_mobilenetv2_{name}" for name in ("baseline", "taf")]
    assert trained(trainer) == [f"{row}/seed-{seed}" for row in rows for seed in (0, 1)]

    # The stub's mIoU: 30 and 31 %, mean 30.5, standard error 0.5; TAF has 2 points more with every seed.
    printed = capsys.readouterr().out
    assert "| 3 | DeepLabV3+ on MobileNetV2, CamVid, without TAF | 2 | 30.50 ± 0.50 | 65.0 |" in printed
    assert "| 4 | DeepLabV3+ on MobileNetV2, CamVid, with TAF | 2 | 32.50 ± 0.50 | 66.9 |" in printed
    table = pd.read_csv(tmp_path / "runs" / "table1.csv").set_index("row")
    assert table.loc[4, "gain"] == pytest.approx(2)
    assert table.loc[4, "gain_paper"] == pytest.approx(1.9)  # 66.9 − 65.0
    assert np.isnan(table.loc[3, "gain_paper"])
    for number, line in zip((3, 4), printed.splitlines()[-2:], strict=True):
        cells = [cell.strip().split(" ")[0] for cell in line.strip("| ").split("|")]
        names = ["miou", "miou_paper", "pixel_accuracy", "pixel_accuracy_paper", "gain", "gain_paper"]
        for cell, name in zip(cells[3:], names, strict=False):
            expected = table.loc[number, name]
            assert (cell == "") if np.isnan(expected) else (float(cell) == pytest.approx(expected, abs=0.005))


def test_rows_on_other_frames_have_no_gain(tmp_path, camvid, capsys):
    trainer = run_table1(tmp_path, camvid, "--rows=3", *TINY)
    more_labels = {'"frames": 1': '"frames": 20', "clips=CLIPS[:1]": "clips=CLIPS"}
    run_table1(tmp_path, camvid, "--rows=3,4", *TINY, changes=more_labels)
    assert len(trained(trainer)) == 2
    table = pd.read_csv(tmp_path / "runs" / "table1.csv").set_index("row")
    assert list(table.miou) == pytest.approx([30, 32])
    assert table.gain.isna().all()
    base, taf = (f"camvid_deeplabv3plus_mobilenetv2_{name}, seed 0" for name in ("baseline", "taf"))
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {base} was evaluated on test, 1 frames; {taf} on test, 20 frames: between such runs "
        "differences are left out",
        f"warning: {taf} was trained on other clips (2) than {base} (1), with the same settings: the data "
        "have changed between them; in another folder both can be trained anew",
    ]


def test_rows_that_have_not_ended_stay_empty():
    rows = paper_table.read_rows(RECIPES, "camvid")
    none = results_of([])
    table = paper_table.compare_with_paper(rows[:2], rows, none)
    assert list(table.seeds) == [0, 0]
    assert paper_table.markdown(table).splitlines()[2] == (
        "| 1 | FCN8s on ResNet-50, CamVid, without TAF | 0 |  | 65.3 |  | 91.0 |  |  |"
    )


def test_a_dry_run_prints_commands_and_hours_and_trains_nothing(tmp_path, camvid, capsys):
    run_table1(tmp_path, camvid, "--rows=3,4", "--dry_run", *TINY)
    *lines, total, _, _ = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line, name in zip(lines, ("baseline", "taf"), strict=True):
        assert f"recipes/camvid_deeplabv3plus_mobilenetv2_{name}.flags --data_dir={camvid}" in line
        assert "--epochs=1" in line
    assert re.match(r" +\d+\.\d GPU hours in all, estimated: ", total)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows=7"], "--rows=7: allowed are 1, 2, 3, 4, 5, 6"),
        (["--rows=1,1"], "--rows=1,1"),
        (["--rows=1", "--", "--crop_size=1x1"], "arm 'camvid_fcn8s_resnet50_baseline': --crop_size=1x1"),
        (["--rows=1", "--", "--seed=1"], "use --seeds"),
    ],
)
def test_bad_input_is_refused_in_one_line(tmp_path, camvid, arguments, message, capsys):
    with pytest.raises(SystemExit) as exit:
        run_table1(tmp_path, camvid, *arguments)
    assert exit.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_flops_are_the_published_ones():
    # Sandler et al. 2018, Table 4: MobileNetV2 takes 300M multiply-adds for 224×224 px. Two FLOPs each.
    network = keras.applications.MobileNetV2(weights=None)
    assert gpu_hours.count_flops(network, (224, 224)) == pytest.approx(2 * 300e6, rel=0.01)


def test_hours_are_images_times_flops_over_flops_per_second(monkeypatch):
    monkeypatch.setattr(gpu_hours, "forward_flops", lambda *_: (5e9, 1e9))
    names = [f"camvid_deeplabv3plus_resnet50_{name}" for name in ("baseline", "taf")]
    flags = [[f"--flagfile={RECIPES / name}.flags", "--data_dir=data"] for name in names]
    baseline, taf = (gpu_hours.gpu_hours(config, 11, 3.0) for config in map(parse_config, flags))
    # 367 clips: 23 steps an epoch of 16 key frames, 46 of 8 with their partners; 600 epochs.
    assert baseline == pytest.approx(600 * 23 * 16 * 3 * (5e9 + 1e9) / 3e12 / 3600)
    assert taf == pytest.approx(600 * 46 * 16 * 3 * (5e9 + 2e9) / 3e12 / 3600)


def test_a_fifth_of_cityscapes_takes_its_595_clips(monkeypatch):
    monkeypatch.setattr(gpu_hours, "forward_flops", lambda *_: (1e12, 0))
    data = DataConfig(dataset="cityscapes", data_dir="data", subset=0.2, crop_size=(64, 64))
    config = Config(data=data)
    config = replace(config, training=replace(config.training, epochs=1, batch_size=10))
    # Table 2: CS-0.2 has 595 clips; five key frames and their partners a step.
    assert gpu_hours.gpu_hours(config, 19, 1.0) == pytest.approx(595 * 2 * 3 / 3600)


@pytest.mark.slow
def test_rows_are_really_trained(tmp_path, camvid):
    (tmp_path / "camvid" / "test").symlink_to(tmp_path / "camvid" / "val")
    (tmp_path / "camvid" / "testannot").symlink_to(tmp_path / "camvid" / "valannot")
    folder = tmp_path / "runs"
    arguments = ["--dataset=camvid", f"--data_dir={camvid}", f"--output_dir={folder}", "--rows=3,4", *TINY]
    table1.main([*arguments, "--batch_size=4", "--temporal_context=30"])  # its stills are 30 frames apart
    table = pd.read_csv(folder / "table1.csv")
    assert list(table.row) == [3, 4]
    assert table.miou.between(0, 100).all()
