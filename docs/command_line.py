"""The page docs/command_line.md, from the settings and commands: `python -m docs.command_line` writes it."""

from __future__ import annotations

import contextlib
import io
import os
import re
from importlib import import_module
from pathlib import Path
from unittest import mock

from absl import flags as absl_flags

import flags
from flags import evaluation
from taf_keras import command
from taf_keras.settings import Setting, text_of
from taf_keras.tables import markdown

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "command_line.md"
_HEAD = ("flag", "default", "allowed", "unit", "what it is", "where the default comes from")
_ORIGIN = r"The paper: |The paper's results: |The paper does not say|Default: "


def reference() -> str:
    """The whole page."""
    parts = [
        "# The command line",
        "Written by `python -m docs.command_line` from `taf_keras/config.py`, `flags/evaluation.py` and the "
        "commands. A flag whose default is empty may be given as `--name=` again, after a flag file.",
    ]
    for script, module in (("train.py", flags), ("evaluate.py", evaluation)):
        parts.append(f"## python {script}")
        defined = absl_flags.FlagValues()
        module.define(defined)
        for name, group in module.GROUPS.items():
            rows = [_row(own, defined[own.flag]) for own in group.SETTINGS.values()]
            parts += [f"### {name}", group.__doc__.partition("\n")[0], markdown(_HEAD, rows)]
    for name, module in commands().items():
        parts += [f"## python -m {name}", f"```\n{help_of(module)}```"]
    return "\n\n".join(parts) + "\n"


def commands() -> dict[str, str]:
    """{what `python -m` runs: the module that has its `main`} of the library's top floor."""
    library = ROOT / "taf_keras"
    files = sorted([*library.glob("*.py"), *library.glob("*/__main__.py")])
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files
        if '\nif __name__ == "__main__":\n' in file.read_text(encoding="utf-8")
    ]
    return {module.removesuffix(".__main__"): module for module in modules}


def help_of(module: str) -> str:
    """What a command's `--help` prints on a wide terminal."""
    shown = io.StringIO()
    with (
        contextlib.redirect_stdout(shown),
        contextlib.suppress(SystemExit),
        mock.patch.dict(os.environ, {"COLUMNS": "112"}),
    ):
        import_module(module).main(["--help"])
    return shown.getvalue()


def _row(own: Setting, flag: absl_flags.Flag) -> list[str]:
    text, _, empty = own.text.partition("Empty: ")
    what, origin = re.fullmatch(f"(.*?)((?:{_ORIGIN}).*)?", text).groups(default="")
    default = f"`{text_of(own.default)}`" if own.default not in (None, ()) else f"empty: {empty.rstrip('.')}"
    form = flag.parser.syntactic_help or ("true, false" if flag.boolean else "any text")
    allowed = ", ".join(own.choices) or own.bound.words.format(unit="") or form
    return [f"`--{own.flag}`", default, allowed, own.unit, what.strip(), origin.strip()]


def main(arguments: list[str] | None = None) -> None:
    def write() -> None:
        command.Options("docs.command_line", __doc__).parse_args(arguments)
        REFERENCE.write_text(reference(), encoding="utf-8")

    command.run(write)


if __name__ == "__main__":
    main()
