"""Imports point one way (CONTRIBUTING.md), and what must start fast imports nothing heavy."""

import ast
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Parts of taf_keras, from the ground up -> the parts that each may import, besides itself.
_BASE = {"config", "settings", "errors", "progress", "files", "sizes", "tables", "devices", "run_flags"}
_DATA = _BASE | {"clips", "streets", "datasets", "video", "inspection"}
_METHOD = _DATA | {"pipeline", "models", "taf", "storage", "evaluation"}
_TOP = {"command", "command_line"}  # how commands begin and end, and where train.py is
ALLOWED = {
    "errors": set(),
    "allocator": set(),
    "progress": set(),
    "sizes": set(),
    "tables": set(),
    "command": {"errors"},
    "config": {"errors", "files", "settings", "sizes"},
    "settings": {"errors", "sizes"},
    "run_flags": {"config", "settings"},
    "files": {"errors"},
    "devices": {"config", "errors"},
    "clips": _BASE,
    "streets": _BASE | {"clips"},
    "datasets": _BASE | {"clips", "streets", "video"},
    "video": _BASE | {"clips", "datasets"},
    "inspection": _BASE | {"clips", "datasets", "video"},
    "pipeline": _BASE | {"clips"},
    "advice": _DATA | {"pipeline"},  # the optical flow, which is NumPy and OpenCV alone
    "models": _BASE,
    "taf": _BASE | {"models"},
    "storage": _BASE,
    "evaluation": _DATA | {"pipeline", "models", "taf", "storage"},
    "serving": _DATA | {"models", "storage", "evaluation"},
    "multi_worker": _BASE | {"models", "taf"},
    "training": _METHOD | {"serving", "multi_worker"},
    "experiments": _METHOD | {"serving"},
    "studies": _METHOD | {"experiments"},
    "report": _METHOD | _TOP | {"experiments", "pages"},
    "pages": set(),
    "label_formats": _BASE | {"clips", "datasets"},
    "annotation": _METHOD | {"label_formats", "serving"},
    "viewer": _METHOD | {"pages"},
    # Commands: the top floor, which nothing below may know.
    "command_line": {"errors", "config"},
    "advise": _METHOD | _TOP | {"advice", "training"},
    "check": _DATA | _TOP,
    "extract": _DATA | _TOP,
    "import_labels": _METHOD | _TOP | {"annotation", "label_formats"},
    "label": _METHOD | _TOP | {"annotation"},
    "pack": _DATA | _TOP,
    "predict": _METHOD | _TOP | {"serving"},
    "sweep": _METHOD | _TOP | {"experiments"},
    "view": _METHOD | _TOP | {"viewer"},
    "table1": _METHOD | _TOP | {"experiments"},
    "local_cluster": _BASE | _TOP,
}
EARLIER_NAMES = [  # of commands: each starts the one that has its place
    *(f"taf_keras/clips/{name}.py" for name in ("check", "extract", "pack")),
    *(f"taf_keras/evaluation/{name}.py" for name in ("sweep", "table1", "report")),
    "taf_keras/serving/predict.py",
    "taf_keras/training/local_cluster.py",
]
VOID = "taf_keras.clips.clip"  # the id of pixels that do not count, which losses must know
# Files that run on any backend of Keras, but for those that are TensorFlow's.
KERAS_ALONE = ["taf_keras/models", "taf_keras/taf", "taf_keras/evaluation/confusion.py"]
TENSORFLOWS_OWN = {
    "taf_keras/models/tensorflow_batch_norm.py",  # a gradient of its own
    "taf_keras/taf/trainer.py",  # the step of train.py
    "taf_keras/taf/moving_average.py",  # which is updated there, on several replicas
}
# What asks for the backend first, and then imports it inside a function.
TENSORFLOW_ALLOWED = {
    "taf_keras/models/layers.py",  # keras.ops cannot resize to a dynamic size
    "taf_keras/models/replicas.py",
}


def python_files(*places: str) -> list[Path]:
    files = []
    for place in places:
        path = ROOT / place
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    assert files
    return files


def imports(file: Path) -> set[str]:
    """Every module that `file` imports, on any line; `from a import b` counts as a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(file)}: relative import of {node.module}; write it in full"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            text = node.args[0]
            found.add(text.value if isinstance(text, ast.Constant) else DYNAMIC)
    return found


# A module whose name is computed: the flags, and what `import taf_keras` promises.
DYNAMIC = "a computed module"
COMPUTES = {"taf_keras/command_line.py", "taf_keras/__init__.py"}


def test_only_the_command_line_and_the_front_door_import_by_a_computed_name():
    assert {name(file) for file in python_files("taf_keras") if DYNAMIC in imports(file)} == COMPUTES


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def module_of(file: Path) -> str:
    return name(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def part(module: str) -> str:
    """`taf_keras.clips.clip` -> `clips`; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def refuse(wrong: list[str]) -> None:
    assert not wrong, "\n".join(["imports against the direction:", *wrong])


def test_every_part_has_its_place():
    places = {path.stem for path in (ROOT / "taf_keras").iterdir() if path.name[0] not in "_."}
    assert places == set(ALLOWED)


def test_imports_point_one_way():
    wrong = []
    for file in python_files("taf_keras"):
        own = file.relative_to(ROOT / "taf_keras").parts[0].removesuffix(".py")
        if own == "__init__" or name(file) in EARLIER_NAMES:
            continue
        for module in sorted(imports(file)):
            if not within(module, "taf_keras") or part(module) in {"", own} | ALLOWED[own]:
                continue
            if own == "taf" and within(module, VOID):
                continue
            wrong.append(f"{name(file)} imports {module}")
    refuse(wrong)


def test_no_file_imports_itself_in_the_end():
    known = {module_of(file): file for file in python_files("taf_keras")}
    graph = {
        module: {other for other in imports(file) if other in known.keys() - {module}}
        for module, file in known.items()
    }
    list(TopologicalSorter(graph).static_order())  # CycleError names the circle


def test_swap_and_losses_know_tensors_and_names():
    wrong = []
    for file in python_files("taf_keras/taf/swap.py", "taf_keras/taf/losses.py"):
        for module in sorted(imports(file)):
            if within(module, "taf_keras") and not within(module, VOID):
                wrong.append(f"{name(file)} imports {module}")
    refuse(wrong)


def test_only_scripts_and_flags_know_absl():
    files = python_files("taf_keras")
    wrong = [
        f"{name(f)} imports {m}" for f in files for m in sorted(imports(f)) if within(m, "absl", "flags")
    ]
    refuse(wrong)


def test_models_and_objectives_use_keras_alone():
    wrong = []
    for file in python_files(*KERAS_ALONE):
        for module in sorted(imports(file)):
            if within(module, "tensorflow") and name(file) not in TENSORFLOW_ALLOWED | TENSORFLOWS_OWN:
                wrong.append(f"{name(file)} imports {module}")
    refuse(wrong)


def test_cores_are_counted_in_one_place():
    """`os.cpu_count` counts those of the machine, of which a container or a scheduler may give a few."""
    counting = [name(f) for f in python_files("taf_keras") if "cpu_count" in f.read_text(encoding="utf-8")]
    assert counting == ["taf_keras/config.py"]


def test_what_uses_keras_alone_is_imported_where_there_is_no_tensorflow():
    """Keras itself needs a backend, and comes first."""
    files = [file for file in python_files(*KERAS_ALONE) if name(file) not in TENSORFLOWS_OWN]
    assert len(files) > 20
    code = (
        "import sys, importlib, keras\nfor m in [m for m in sys.modules if m.partition('.')[0] == "
        "'tensorflow']: sys.modules[m] = None\n"
        f"for m in {list(map(module_of, files))}: importlib.import_module(m)\n"
        "print(sorted(m for m in sys.modules if m.startswith('taf_keras.') and 'tensorflow' in m))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "module",
    ["taf_keras.training.run", "taf_keras.datasets.load", "taf_keras.streets", "taf_keras.advise"],
)
def test_checks_of_the_input_come_before_tensorflow(module, tmp_path):
    """A bad flag is refused without the seconds that TensorFlow takes to import."""
    code = f"import sys, {module}; print({{'tensorflow', 'keras', 'keras_cv'}} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "set()", f"{module} imports {result.stdout.strip()}"


def test_nothing_needs_posix_to_be_imported():
    """Windows has no fcntl."""
    modules = [module_of(file) for file in python_files("taf_keras") if file.stem != "__init__"]
    code = (
        f"import sys, importlib\nsys.modules['fcntl'] = None\nfor m in {modules}: importlib.import_module(m)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
