"""What the throughput of a run is read from."""

import time
from types import SimpleNamespace

from benchmarks import throughput
from taf_keras.storage.run import Run
from taf_keras.training.steps import WriteSteps


def write_steps(folder, count: int, every: int) -> None:
    writing = WriteSteps(folder, every, first_step=0)
    writing.set_model(SimpleNamespace(step_metrics=[]))
    writing.set_params({"steps": count})
    writing.on_epoch_begin(0)
    for batch in range(count):
        writing.on_train_batch_end(batch, {"loss": 1.0, "taf": 0.5})
    writing.on_epoch_end(0)


def test_the_times_of_the_steps_that_training_writes(tmp_path):
    before = time.time()
    write_steps(tmp_path, count=5, every=2)
    times = throughput.step_times(tmp_path)
    assert list(times) == [2, 4]
    assert before - 1 < times[2] <= times[4] < time.time() + 1


def test_a_run_is_timed_by_what_it_writes(tmp_path, monkeypatch):
    """Steps 2 and 4 are written at 103 and 107 s, of a process that starts at 100 s: a step takes 2 s."""
    monkeypatch.setattr(throughput, "run_fresh", lambda *_: write_steps(Run(tmp_path).step_logs, 5, 2))
    monkeypatch.setattr(
        throughput,
        "step_times",
        lambda folder: dict(zip((2, 4), (103.0, 107.0), strict=True)) if list(folder.glob("events*")) else {},
    )
    monkeypatch.setattr(throughput.time, "time", lambda: 100.0)
    assert throughput.through_train(tmp_path, []) == {"first": 1.0, "step": 2.0}
