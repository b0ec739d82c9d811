"""The table of tests/options.py has every documented option, and nothing that is not there."""

import ast
import re
import runpy
import sys
from functools import cache

import pytest
from options import (
    ELSEWHERE,
    EVALUATE,
    ROOT,
    TEST_OF_LINES,
    TRAIN,
    commands,
    documented,
    executed,
    values_of,
)
from test_imports import EARLIER_NAMES

pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # of runpy
PROGRAMS = (TRAIN, EVALUATE, *sorted(commands()))
TABLE = cache(executed)
GUARD = '\nif __name__ == "__main__":\n'


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_documented_option_and_choice_is_executed_by_a_test(program):
    options = documented(program)
    assert options
    missing = [
        f"{program} --{option}={value}"
        for option, values in options.items()
        for value in values
        if (program, option, value) not in TABLE()
    ]
    assert not missing, f"no test executes: add them to LINES or ELSEWHERE of tests/options.py: {missing}"


def test_the_table_names_nothing_that_is_not_documented():
    known = {program: documented(program) for program in PROGRAMS}
    unknown = [key for key in TABLE() if key[2] not in known[key[0]].get(key[1], ())]
    assert not unknown


def test_every_module_that_can_be_run_is_documented():
    started = [path for path in (ROOT / "taf_keras").rglob("*.py") if GUARD in path.read_text()]
    names = {str(path.relative_to(ROOT).with_suffix("")).replace("/", ".") for path in started}
    earlier = {name.removesuffix(".py").replace("/", ".") for name in EARLIER_NAMES}
    assert {name.removesuffix(".__main__") for name in names - earlier} == commands()


@pytest.mark.parametrize("file", EARLIER_NAMES)
def test_commands_keep_their_earlier_names(file, capsys, monkeypatch):
    earlier = file.removesuffix(".py").replace("/", ".")
    text = (ROOT / file).read_text(encoding="utf-8")
    (now,) = re.findall(r"python -m (taf_keras[.\w]+)", text)
    shown = []
    for module in (earlier, now):
        monkeypatch.setattr(sys, "argv", [module, "--help"])
        with pytest.raises(SystemExit):
            runpy.run_module(module, run_name="__main__")
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert f"python -m {now}" in shown[0]


@cache
def source(test: str) -> str:
    """What a test is made of: its function, and all of its file that is no other test.

    Fails where there is no such test, or it is left out of what .ci/run executes.
    """
    file, _, name = test.partition("::")
    text = (ROOT / "tests" / file).read_text(encoding="utf-8")
    body = ast.parse(text).body
    (own,) = [part for part in body if getattr(part, "name", None) == name] or [None]
    assert own is not None, f"no such test: {test}"
    marks = " ".join(map(ast.unparse, own.decorator_list))
    assert not re.search(r"mark\.(slow|skip|xfail)", re.sub(r"pytest\.param\(.*?\)\)?", "", marks)), test
    others = [part for part in body if not getattr(part, "name", "").startswith("test_")]
    return "\n".join(map(ast.unparse, [own, *others]))


@pytest.mark.parametrize("key", ELSEWHERE, ids="-".join)
def test_tests_elsewhere_use_what_they_are_named_for(key):
    _, option, value = key
    found = source(ELSEWHERE[key])
    assert re.search(rf"\b(no)?{option}\b", found)
    assert value in ("", "true", "false") or re.search(rf"\b{value}\b", found)


def test_the_lines_are_those_that_are_executed():
    name = TEST_OF_LINES.partition("::")[2]
    assert f"parametrize('name', LINES)\ndef {name}(" in source(TEST_OF_LINES)


def test_what_has_no_effect_in_a_run_does_not_count():
    """A baseline has no λ, and only a run that names its backbone has it."""
    found = set(values_of(TRAIN, ["--method=baseline", "--taf_weight=3", "--backbone_width=1", "--epochs=2"]))
    assert (TRAIN, "epochs", "") in found
    assert not {(TRAIN, "taf_weight", ""), (TRAIN, "backbone_width", "")} & found
    assert (TRAIN, "backbone_width", "") in set(
        values_of(TRAIN, ["--backbone=mobilenetv2", "--backbone_width=1"])
    )
