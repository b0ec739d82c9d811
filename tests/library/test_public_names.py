"""What `taf_keras` promises: names with examples that run, and an import that costs nothing."""

import doctest
import inspect
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from clips_on_disk import write_clips

import taf_keras

ROOT = Path(__file__).parents[2]
ON_TENSORFLOW = {"export"}


def test_the_import_is_light():
    """No Keras, no TensorFlow, no NumPy: they take seconds."""
    code = "import sys, taf_keras; print(sorted({'tensorflow', 'keras', 'numpy', 'cv2'} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("name", taf_keras.__all__)
def test_a_name_is_there_and_says_what_it_is(name):
    thing = getattr(taf_keras, name)
    assert inspect.getdoc(thing)
    assert name in dir(taf_keras)


def test_other_names_are_refused_with_those_that_there_are():
    with pytest.raises(AttributeError, match=r"has no 'TAT'; it has ArgumentError, .*TAF"):
        taf_keras.TAT  # noqa: B018


@pytest.mark.parametrize("name", [n for n in taf_keras.__all__ if not n.endswith("Error")])
def test_the_example_of_a_name_runs(name, tmp_path, monkeypatch):
    if name in ON_TENSORFLOW and keras.backend.backend() != "tensorflow":
        pytest.skip(f"{name} needs TensorFlow")
    write_clips(tmp_path / "my_clips")
    monkeypatch.chdir(tmp_path)
    scope = {"keras": keras, "np": np} | {n: getattr(taf_keras, n) for n in taf_keras.__all__}
    examples = doctest.DocTestFinder(recurse=False).find(scope[name], name, globs=scope)
    assert sum(len(example.examples) for example in examples), "it has no Example:"
    for example in examples:
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
        assert runner.run(example).failed == 0
