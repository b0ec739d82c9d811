"""Memory that is freed stays with the process, unless the environment has settings of its own."""

import json
import os
import subprocess
import sys

import pytest

# In a process of its own, since it is for good. It prints what was said, and how many pages the system had to
# clear while 50 MB were taken, written and freed, ten times.
PROGRAM = """
import json, resource, sys
from taf_keras.allocator import keep_freed_memory

kept = keep_freed_memory() if sys.argv[1] == "keep" else None
for round in range(11):
    if round == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * 50_000_000
print(json.dumps([kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]))
"""
PAGES = 10 * 50_000_000 // os.sysconf("SC_PAGE_SIZE")


def measure(*arguments: str, **variables: str):
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "LD_"))
    }
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=plain | variables)
    return json.loads(done.stdout)


def test_freed_memory_is_taken_again_without_new_pages():
    if measure("leave")[1] < PAGES // 2:
        pytest.skip("this system's C library keeps freed memory by itself")
    kept, cleared = measure("keep")
    assert kept is True
    assert cleared < PAGES // 100


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_the_environment_s_own_settings_stay(name):
    values = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2", "LD_PRELOAD": "", "MALLOC_ARENA_MAX": "2"}
    assert measure("keep", **{name: values[name]})[0] is False


def test_the_scripts_ask_for_it_before_they_begin():
    program = (
        "import sys, taf_keras.allocator as allocator\n"
        "allocator.keep_freed_memory = lambda: print('kept')\n"
        "from flags import script\n"
        "sys.argv = ['train.py']\n"
        "script.run(lambda: print('main'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["kept", "main"]
