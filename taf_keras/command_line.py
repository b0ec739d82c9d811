"""The command line, which the library starts but does not import: train.py and flags/ of a checkout, or the
`taf_keras.flags` of an installed package.

A checkout has flags/ beside taf_keras; an installed package has it inside (pyproject.toml).
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from taf_keras.config import Config

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent

if (_PACKAGE / "flags").is_dir():
    FLAGS = "taf_keras.flags"
    RECIPES = _PACKAGE / "flags" / "recipes"
    TRAIN = (sys.executable, "-m", "taf_keras.flags.train_command")
    _PATHS = []
else:
    FLAGS = "flags"  # as a module
    RECIPES = _CHECKOUT / "flags" / "recipes"
    TRAIN = (sys.executable, str(_CHECKOUT / "train.py"))
    _PATHS = [str(_CHECKOUT)]


def parse_config(arguments: Sequence[str]) -> Config:
    """The run that these arguments of train.py describe, read in this process.

    Raises: UserError with the line that train.py would end with.
    """
    for path in _PATHS:
        if path not in sys.path:
            sys.path.insert(0, path)  # before another package of this name
    return import_module(FLAGS).parse_config(arguments)
