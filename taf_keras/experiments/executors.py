"""The executors of experiments by name, and the option of commands that chooses one."""

from __future__ import annotations

import argparse

from taf_keras.experiments.execute import local
from taf_keras.experiments.ray_executor import on_ray

EXECUTORS = {"local": local, "ray": on_ray}


def add_executor(parser: argparse.ArgumentParser) -> None:
    """Adds --executor, a name in EXECUTORS."""
    parser.add_argument(
        "--executor",
        choices=EXECUTORS,
        default="local",
        help="local: on this machine; ray: on the machines of its Ray cluster, which must all see output_dir "
        "and the data at the same paths (%(default)s)",
    )
