"""The command line, which the library starts but does not import: train.py and flags/ of a checkout, or the
`taf_keras.flags` of an installed package.

A checkout has flags/ beside taf_keras; an installed package has it inside (pyproject.toml).
"""

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent

if (_PACKAGE / "flags").is_dir():
    FLAGS = "taf_keras.flags"
    RECIPES = _PACKAGE / "flags" / "recipes"
    TRAIN = (sys.executable, "-m", "taf_keras.flags.train_command")
    TRAIN_SHOWN = ("taf-train",)
    _PATHS = []
else:
    FLAGS = "flags"  # as a module
    RECIPES = _CHECKOUT / "flags" / "recipes"
    TRAIN = (sys.executable, str(_CHECKOUT / "train.py"))
    TRAIN_SHOWN = ("python", "train.py")  # as a user types it
    _PATHS = [str(_CHECKOUT)]


def environment() -> dict[str, str]:
    """The environment in which another Python finds FLAGS, whatever its working directory."""
    paths = [*_PATHS, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
