"""absl flags: one module per concern, each with a `define()`; only these and the scripts know absl.

An installed package has this folder in it, as `taf_keras.flags`: its modules import one another relatively.
"""

from __future__ import annotations

from dataclasses import fields

from absl.flags import FLAGS, FlagValues

from taf_keras.config import Config, flag_name

from . import data, model, partner_labels, runtime, taf, training

CONFIG_MODULES = (data, model, taf, partner_labels, training, runtime)


def config_from_flags(flag_values: FlagValues = FLAGS) -> Config:
    """The run that the parsed flags describe.

    Raises: UserError that names the flag, its value and what is allowed.
    """
    groups = {}
    for group in fields(Config):
        settings = fields(group.default_factory)
        names = [field.name for field in settings if field.metadata.get("flag", True)]
        values = {name: flag_values[flag_name(group.name, name)].value for name in names}
        groups[group.name] = group.default_factory(**values)
    return Config(**groups)
