"""Epoch times by arithmetic."""

import pytest

from benchmarks import epoch_time
from benchmarks.epoch_time import Epoch, Machine
from taf_keras.command_line import RECIPES
from taf_keras.experiments.paper_table import read_rows

EPOCH = Epoch(tflop=800.0, steps=100, core_s=320.0, python_s=8.0, weights=25_000_000)


def test_the_parts_of_an_epoch():
    """800 TFLOP at 8 × 50 a second; 320 core seconds on 8 × 4 cores, but 8 of Python;
    100 steps × 2 × 7/8 × 100 MB = 17.5 GB at 35 a second."""
    assert EPOCH.seconds(Machine(50.0, 4, 35.0), 8) == {"compute": 2.0, "input": 10.0, "all-reduce": 0.5}
    assert EPOCH.seconds(Machine(50.0, 100, 35.0), 8)["input"] == 8.0
    assert EPOCH.seconds(Machine(50.0, 4, 35.0), 1) == {"compute": 16.0, "input": 80.0, "all-reduce": 0.0}


@pytest.mark.parametrize(
    ("machine", "cell"),
    [
        (Machine(50.0, 4, 35.0), "10 s, input"),
        (Machine(0.5, 4, 35.0), "200 s, compute"),
        (Machine(50.0, 4, 0.1), "175 s, all-reduce"),
    ],
)
def test_the_longest_part_is_the_time(machine, cell):
    assert EPOCH.cell(machine, 8) == cell


def test_a_recipe():
    """FCN8s on CamVid: 367 clips; 16 images are 16 key frames, or 8 pairs."""
    rows = {row.recipe: row for row in read_rows(RECIPES, "camvid")}
    chosen = [rows[f"camvid_fcn8s_resnet50_{method}"] for method in ("baseline", "taf")]
    text = epoch_time.table(chosen, Machine(50.0, 16, 50.0))
    cells = [line.split(" | ") for line in text.splitlines()[2:]]
    assert [line[1] for line in cells] == ["23", "46"]
    assert float(cells[1][2]) > 1.9 * float(cells[0][2])  # twice the images, and the head once more
    assert float(cells[1][3]) == pytest.approx(368 * epoch_time.PAIR_MS[360, 480] / 1e3, rel=0.01)
    assert all(" s, " in cell for line in cells for cell in line[4:])


@pytest.mark.parametrize("argument", ["--cores=0", "--sustained_tflops=inf", "--allreduce_gb=-1"])
def test_numbers_must_be_positive(argument, capsys):
    with pytest.raises(SystemExit):
        epoch_time.main([argument])
    assert "positive and finite" in capsys.readouterr().err
