"""Arms of an experiment: named sets of train.py's flags, written by hand or as a grid of values."""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from taf_keras.errors import UserError

FILES = ("runs.csv", "results.csv", "miou.png", "tensorboard")  # that a sweep writes beside its arms' folders
_MAX_BYTES = 255  # of a folder's name, in all common file systems


@dataclass(frozen=True)
class Arm:
    """What is trained once per seed.

    Attributes:
        name: also the name of its folder.
        flags: of train.py, in the form --name=value.
        point: its value on each axis of the experiment; () for an arm that lies on none, such as a baseline.
    """

    name: str
    flags: tuple[str, ...]
    point: tuple[str, ...] = ()


def parse_arm(text: str) -> Arm:
    """'NAME: FLAGS' as an arm. Raises: UserError for text of another form."""
    name, colon, flags = text.partition(":")
    if not colon:
        raise UserError(f"--arm={text!r}: write NAME: FLAGS")
    try:
        return Arm(name.strip(), tuple(shlex.split(flags)))
    except ValueError as error:
        raise UserError(f"--arm={text!r}: write NAME: FLAGS, in quotes as for a shell ({error})") from None


def parse_varied(text: str) -> tuple[str, list[str]]:
    """'FLAG=A,B,…' as (flag, values); 'FLAG=A;B;…' where values hold commas.

    Raises: UserError for text of another form, or a value that stands there twice.
    """
    flag, _, listed = text.lstrip("-").partition("=")
    values = [value.strip() for value in listed.split(";" if ";" in listed else ",")]
    if not flag or not all(values) or len(set(values)) < len(values):
        raise UserError(
            f"--vary={text!r}: write FLAG=A,B,… with each value once; FLAG=A;B;… where values hold commas"
        )
    return flag, values


def grid(varied: dict[str, Sequence[str]]) -> list[Arm]:
    """One arm for each combination of values, the first flag's the slowest: {flag: values} -> arms."""
    arms = []
    for point in itertools.product(*varied.values()):
        settings = [f"{flag}={value}" for flag, value in zip(varied, point, strict=True)]
        arms.append(Arm(",".join(settings), tuple(f"--{setting}" for setting in settings), point))
    return arms


def check_arms(arms: Sequence[Arm]) -> None:
    """UserError for a name that is no folder's or is there twice, and for flags that are not an arm's."""
    names = [arm.name for arm in arms]
    for arm in arms:
        name, place = arm.name, f"arm {arm.name!r}"
        too_long = len(os.fsencode(name)) > _MAX_BYTES
        if not name or name.startswith(".") or "/" in name or name in FILES or too_long:
            raise UserError(
                f"{place}: its name becomes a folder, so it must not be empty, begin with a dot, "
                f"hold a slash, be longer than {_MAX_BYTES} bytes or be one of {', '.join(FILES)}; "
                "--arm 'NAME: FLAGS' gives another name to the same flags"
            )
        if names.count(name) > 1:
            raise UserError(f"{place}: each name once")
        check_flags(place, arm.flags)


def check_flags(place: str, flags: Sequence[str]) -> None:
    """UserError for flags that would be overridden: every run has a seed and a folder of its own."""
    for flag in flags:
        if flag.lstrip("-").split("=")[0] in ("seed", "model_dir"):
            raise UserError(f"{place}: {flag} is not an arm's: use --seeds and --output_dir")
