"""What the throughput of a run is read from."""

import time
from types import SimpleNamespace

from benchmarks.throughput import step_times
from taf_keras.training.steps import WriteSteps


def test_the_times_of_the_steps_that_training_writes(tmp_path):
    writing = WriteSteps(tmp_path, 2, first_step=0)
    writing.set_model(SimpleNamespace(step_metrics=[]))
    writing.set_params({"steps": 5})
    writing.on_epoch_begin(0)
    before = time.time()
    for batch in range(5):
        writing.on_train_batch_end(batch, {"loss": 1.0, "taf": 0.5})
    writing.on_epoch_end(0)
    times = step_times(tmp_path)
    assert list(times) == [2, 4]
    assert before - 1 < times[2] <= times[4] < time.time() + 1
