"""Settings of a data set as options of a command."""

import pytest

from taf_keras import command
from taf_keras.datasets.options import add_data_options, data_config
from taf_keras.errors import UserError


def size(text: str):
    options = command.Options("program", "What it does.")
    add_data_options(options, "image_size")
    return data_config(options.parse_args([f"--image_size={text}"])).image_size


def test_a_size_is_read_and_an_empty_one_is_none():
    """As by train.py, where `--name=` takes back what a flag file gives."""
    assert size("24x32") == (24, 32)
    assert size("") is None


def test_another_form_of_a_size_is_refused():
    with pytest.raises(UserError, match=r"^(--)?image_size=24: write HEIGHTxWIDTH in pixels"):
        size("24")
