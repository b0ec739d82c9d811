"""Script of test_local_cluster.py: train.py with a tiny backbone, in float64 where weights are compared.

Usage: python cluster_run.py FLAGS of train.py. In the environment, TAF_FLOAT64=1 makes the network float64;
with TAF_SIGNAL="WORKER STEP NUMBER" that worker sends itself the signal at the end of the step.
"""

import json
import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "taf")]

from flags import CONFIG_MODULES, config_from_flags, script  # noqa: E402


def main() -> None:
    config = config_from_flags()
    from taf_examples import in_float64, pyramid

    from taf_keras.models import build
    from taf_keras.serving import export
    from taf_keras.training import callbacks, run

    build.build_backbone = pyramid
    if os.environ.get("TAF_FLOAT64"):
        build_model = build.build_model
        build.build_model = lambda *args: in_float64(build_model(*args))
        export.export_model = lambda *_: None
    if "TAF_SIGNAL" in os.environ:
        worker, step, number = map(int, os.environ["TAF_SIGNAL"].split())
        if json.loads(os.environ["TF_CONFIG"])["task"]["index"] == worker:
            signal_at(callbacks.StepLogs, step, number)
    run.train(config)


def signal_at(callback, last: int, number: int) -> None:
    original = callback.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        original(self, batch, logs)
        if self.step == last:
            os.kill(os.getpid(), number)

    callback.on_train_batch_end = on_train_batch_end


if __name__ == "__main__":
    script.run(main, *CONFIG_MODULES)
