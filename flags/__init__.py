"""The flags of train.py, made from the fields of the config; only this folder and the scripts know absl.

An installed package has this folder in it, as `taf_keras.flags`: its modules import one another relatively.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl.flags import FLAGS, FlagValues

from taf_keras.config import Config
from taf_keras.errors import UserError

from . import script, values

# Groups of Config, in the order in which --help has them.
GROUPS = {
    name: type(getattr(Config(), name))
    for name in ("data", "model", "taf", "partner_labels", "training", "runtime")
}
CONFIG_MODULES = (sys.modules[__name__],)  # for script.run


def define(flag_values: FlagValues = FLAGS) -> None:
    values.define(GROUPS, flag_values)


def config_from_flags(flag_values: FlagValues = FLAGS) -> Config:
    """The run that the parsed flags describe.

    Raises: UserError that names the flag, its value and what is allowed.
    """
    given = {
        name: {field: flag_values[own.flag].value for field, own in group.SETTINGS.items()}
        for name, group in GROUPS.items()
    }
    return Config(**{name: group(**given[name]) for name, group in GROUPS.items()})


def parse_config(arguments: Sequence[str]) -> Config:
    """The run that these arguments of train.py describe; the process's own flags stay as they are.

    Raises: UserError with the line that train.py would end with.
    """
    flag_values = FlagValues()
    script.define_absl_flags(flag_values)
    define(flag_values)
    try:
        script.parse(flag_values, arguments)
        return config_from_flags(flag_values)
    except UserError as error:
        raise UserError(" ".join(str(error).splitlines())) from None
