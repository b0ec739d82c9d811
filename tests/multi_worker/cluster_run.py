"""Script of test_local_cluster.py: train.py with a tiny backbone, in float64 where weights are compared.

Usage: python cluster_run.py FLAGS of train.py. TAF_FLOAT64=1 in the environment makes the network float64.
"""

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
    from taf_keras.training import run

    build.build_backbone = pyramid
    if os.environ.get("TAF_FLOAT64"):
        build_model = build.build_model
        build.build_model = lambda *args: in_float64(build_model(*args))
        export.export_model = lambda *_: None
    run.train(config)


if __name__ == "__main__":
    script.run(main, *CONFIG_MODULES)
