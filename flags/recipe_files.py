"""Recipes by name: the flag files in `recipes/`, which `--flagfile` finds from every folder."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from taf_keras.errors import UserError, require
from taf_keras.files import reads

RECIPES = {path.stem: path for path in sorted((Path(__file__).parent / "recipes").glob("*.flags"))}


def expand_flag_files(arguments: Iterable[str], within: tuple[Path, ...] = ()) -> list[str]:
    """The arguments of a command, with the flags of the file in place of each `--flagfile`, in files too.

    Args:
        within: the files in which the arguments stand.
    Raises: UserError for a name of no file and no recipe, and for a file that reads itself.
    """
    words, found = iter(arguments), []
    for word in words:
        name, _, value = word.partition("=")
        if name in ("-flagfile", "--flagfile") and "=" not in word:
            value = next(words, "")
        if name not in ("-flagfile", "--flagfile") or not value:
            found.append(word)
            continue
        file = find_flag_file(value)
        require(file not in within, f"--flagfile={value}: is read within itself")
        with reads(f"--flagfile={value}"):
            lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        flags = [line for line in lines if line and not line.startswith(("#", "//"))]
        found += expand_flag_files(flags, (*within, file))
    return found


def find_flag_file(name: str) -> Path:
    """The file that `--flagfile=NAME` means, with or without `.flags`: a file of the user's, or a recipe.

    `flags/recipes/NAME.flags` is the recipe too where there is no such folder.
    Raises: UserError for a name of no file and no recipe.
    """
    path = Path(os.path.expanduser(name.strip()))
    for file in (path, Path(f"{path}.flags")):
        if file.exists() and not file.is_dir():
            return file
    folder, stem = path.parent, path.name.removesuffix(".flags")
    if stem in RECIPES and folder in (Path("."), Path("flags/recipes")):
        return RECIPES[stem]
    near = difflib.get_close_matches(stem, RECIPES)
    hint = f"did you mean {', '.join(near)}?" if near else f"recipes are {', '.join(RECIPES)}"
    raise UserError(f"--flagfile={name}: no such file, and no recipe of this name; {hint}")
