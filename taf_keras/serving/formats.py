"""The formats of an export beside the SavedModel: their files, and what they need. No TensorFlow here."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from taf_keras.errors import UserError

FILES = {"litert": "model.tflite", "litert_int8": "model_int8.tflite", "onnx": "model.onnx"}


def check_formats(formats: Iterable[str]) -> None:
    """Raises: UserError where a format needs a package that is not installed."""
    if "onnx" in formats:
        missing = [name for name in ("onnx", "tf2onnx") if importlib.util.find_spec(name) is None]
        if missing:
            packages = " ".join(missing)  # with the requirements, which bound what they bring along
            raise UserError(f"--export_formats=onnx: needs `pip install -r requirements.txt {packages}`")


def missing_formats(folder: Path, formats: Iterable[str]) -> list[str]:
    """Those of `formats` whose file is not in the folder of an exported model yet."""
    return [name for name in formats if not (folder / FILES[name]).is_file()]
