"""Executes the notebooks of docs/ and stores what they show: `python -m docs.notebooks [NAME…]`."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from taf_keras import command
from taf_keras.errors import require, require_one_of
from taf_keras.files import write_bytes

DOCS = Path(__file__).parent
NAMES = ("tutorial", "own_model")
TIMEOUT_SECONDS = 1800  # of a cell, on a machine that is busy
# TensorFlow's own log of devices, which it writes before a program can choose how much.
_DEVICE_LOG = re.compile(r"(WARNING: All log messages before absl::|[IWE]\d{4} )")


def main(arguments: list[str] | None = None) -> None:
    command.run(lambda: _main(arguments))


def _main(arguments: list[str] | None) -> None:
    import nbformat

    parser = command.Options("docs.notebooks", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; all")
    for name in parser.parse_args(arguments).names or NAMES:
        require_one_of("names", name, NAMES)
        path = DOCS / f"{name}.ipynb"
        with tempfile.TemporaryDirectory() as folder:
            notebook = execute(path, Path(folder))
        write_bytes(path, (nbformat.writes(notebook) + "\n").encode())
        print(f"wrote {path}: {path.stat().st_size // 1000} kB")


def execute(path: Path, folder: Path):
    """The notebook with new outputs, executed in `folder` on the CPU, with the library of this checkout.

    Clips are made anew, in `folder` too. What does not belong in a file is left out: times of cells, and
    TensorFlow's log of its devices.

    Raises: nbclient's CellExecutionError for a cell that fails; UserError for one that writes to stderr.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_SECONDS,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    environment = {"PYTHONPATH": str(DOCS.parent), "XDG_CACHE_HOME": str(folder), "CUDA_VISIBLE_DEVICES": ""}
    client.execute(env=os.environ | environment)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_device_log(output)]
            noise = [output.text for output in cell.outputs if output.get("name") == "stderr"]
            require(not noise, f"{path.name}: a cell writes to stderr: {''.join(noise).strip()}")
    return notebook


def _is_device_log(output) -> bool:
    lines = output.text.splitlines() if output.get("name") == "stderr" else []
    return bool(lines) and all(map(_DEVICE_LOG.match, lines))


if __name__ == "__main__":
    main()
