"""The frame of `train.py` and `evaluate.py`: how their command lines are read and shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from absl import app, flags, logging

from taf_keras import command
from taf_keras.errors import UserError

from .recipe_files import expand_flag_files


def run(main: Callable[[], None], *modules: ModuleType) -> None:
    """Defines the flags of `modules`, parses the command line and calls `main`, which imports TensorFlow.

    How that ends, with which line and exit code: `taf_keras.command.run`.
    """
    for module in modules:
        module.define()

    def call(_) -> None:
        from taf_keras.allocator import keep_freed_memory  # not for --help
        from taf_keras.devices import require_tensorflow

        require_tensorflow()
        keep_freed_memory()
        main()

    command.run(lambda: app.run(call, flags_parser=lambda argv: _parse_all(argv, main, modules)))


def parse(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    """Parses the arguments of a script, without its name. Raises: UserError."""
    try:
        rest = flag_values(["", *expand_flag_files(arguments)])[1:]
    except flags.UnrecognizedFlagError as error:
        raise UserError(f"{error} (--help lists all flags)") from None
    except UnicodeDecodeError:
        raise UserError(f"--flagfile: not a text file, in {' '.join(arguments)}") from None
    except (flags.Error, ValueError) as error:  # ValueError: absl's answer to --noflip=3
        raise UserError(str(error).removeprefix("flag ").removeprefix("ERROR:: ")) from None
    if rest:
        raise UserError(
            f"unexpected argument {rest[0]!r}: settings are written --name=value (--help lists all flags)"
        )


def define_absl_flags(flag_values: flags.FlagValues) -> None:
    """Defines absl's own flags, such as --verbosity, without their effects."""
    for module, own in flags.FLAGS.flags_by_module_dict().items():
        for flag in own if module.startswith("absl.") else ():
            plain = (flag.parser, flag.serializer, flag.name, flag.default, flag.help, flag.short_name)
            flags.DEFINE_flag(flags.Flag(*plain, boolean=flag.boolean), flag_values)


def _parse_all(argv: list[str], main: Callable[[], None], modules: tuple[ModuleType, ...]) -> list[str]:
    """Parses the command line; `app.run` calls it once absl's own flags are defined."""
    # The script's own words; what pip makes of a console script has none.
    text = sys.modules["__main__"].__doc__ or sys.modules[main.__module__].__doc__
    headings = [heading for module in modules for heading in module.GROUPS]
    flags.DEFINE_flag(_Help("help", "?", text, headings))
    flags.DEFINE_flag(_Help("helpshort", None, text, headings))
    parse(flags.FLAGS, argv[1:])
    if flags.FLAGS["verbosity"].using_default_value:
        flags.FLAGS.verbosity = logging.WARNING  # app.run would take INFO, for every library's notes
    return argv[:1]


class _Help(flags.BooleanFlag):
    """Shows `text` and the flags of all groups; absl's own knows the script's alone and exits with 1."""

    def __init__(self, name: str, short_name: str | None, text: str, headings: list[str]):
        super().__init__(name, False, "show this help", short_name, allow_override=True)
        self._text = text
        self._headings = headings

    def parse(self, argument) -> None:
        if self._parse(argument):
            parts = [(self._text or "").rstrip(), *map(flags.FLAGS.module_help, self._headings)]
            parts.append("\nFlags of absl, such as --flagfile=PATH and --verbosity: --helpfull")
            print("\n".join(parts), flush=True)
            sys.exit(0)
