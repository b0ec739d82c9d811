"""Files from strangers: each gives one clear UserError or is harmless, and none runs code.

What is refused in the paths of a manifest is in datasets/test_manifest.py, in images
inspection/test_damage.py, in packed data datasets/test_packed.py; what a report escapes is in
report/test_report.py.
"""

import io
import json
import pickle
import re
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from taf_keras.clips.exported_classes import load_classes
from taf_keras.command_line import parse_config
from taf_keras.config import Config, DataConfig, ModelConfig, RuntimeConfig, TAFConfig
from taf_keras.datasets import load, manifest
from taf_keras.errors import UserError
from taf_keras.evaluation.evaluate import saved_model_predictor
from taf_keras.evaluation.network import load_network
from taf_keras.experiments.plan import Job, collect
from taf_keras.files import sha256
from taf_keras.inspection.check import check_split
from taf_keras.models.backbones import build_backbone
from taf_keras.models.build import build_model
from taf_keras.report.curves import read_histories
from taf_keras.report.gather import gather
from taf_keras.storage.run import Run
from taf_keras.training.callbacks import WriteHistory

ROOT = Path(__file__).parents[1]
DEEP = "[" * 100_000
MANY_DIGITS = "9" * 5000


def refusal(function, *arguments) -> str:
    with pytest.raises(UserError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- Weights and checkpoints ------------------------------------------------------------------------


class Pickled:
    """Writes the file `path` when it is unpickled."""

    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture
def mark(tmp_path):
    """The file that hostile code would write."""
    path = tmp_path / "code_was_run"
    yield path
    assert not path.exists(), "code from the file was run"


def lambda_model(path: Path, mark: Path) -> None:
    """A lambda, which Keras saves as code; of a function it saves the name."""
    target = str(mark)
    hostile = keras.layers.Lambda(lambda x: (open(target, "w").close(), x)[1])
    keras.Sequential([keras.Input((4,)), hostile, keras.layers.Dense(2)]).save(path)


def pickle_file(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(Pickled(mark)))


def pickled_arrays(path: Path, mark: Path) -> None:
    arrays = io.BytesIO()
    np.savez(arrays, weights=np.array([Pickled(mark)], dtype=object))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.npz", arrays.getvalue())


def pickled_in_hdf5(path: Path, mark: Path) -> None:
    with h5py.File(path, "w") as file:
        file["layers/conv2d/vars/0"] = np.void(pickle.dumps(Pickled(mark)))


HOSTILE_WEIGHTS = [
    ("lambda.keras", lambda_model),
    ("lambda.h5", lambda_model),
    ("pickle.h5", pickle_file),
    ("pickle.weights.h5", pickle_file),
    ("pickle.keras", pickle_file),
    ("arrays.keras", pickled_arrays),
    ("void.weights.h5", pickled_in_hdf5),
]


@pytest.mark.parametrize(("name", "write"), HOSTILE_WEIGHTS, ids=[name for name, _ in HOSTILE_WEIGHTS])
def test_backbone_weights_run_no_code(name, write, tmp_path, mark):
    write(tmp_path / name, mark)
    mark.unlink(missing_ok=True)  # of building the model that is saved
    config = ModelConfig(backbone_width=0.35, backbone_weights=str(tmp_path / name))
    assert refusal(build_backbone, config).startswith(
        f"--backbone_weights={tmp_path / name}: not the weights of"
    )


@pytest.fixture
def small_network(monkeypatch):
    """In place of the real network, which takes seconds to build: one convolution."""
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 1, name="only")(image))
    monkeypatch.setattr("taf_keras.evaluation.network.build_model", lambda *_: network)
    return network


@pytest.mark.filterwarnings("error:Skipping nested container")
@pytest.mark.parametrize(("name", "write"), HOSTILE_WEIGHTS, ids=[name for name, _ in HOSTILE_WEIGHTS])
def test_checkpoints_run_no_code(name, write, tmp_path, mark, small_network):
    write(tmp_path / name, mark)
    mark.unlink(missing_ok=True)
    refused = refusal(load_network, Config(), "ab", tmp_path / name)
    assert refused.startswith(f"{tmp_path / name}: not a checkpoint of this model, or damaged")


def huge(file, at):
    file.create_dataset(at, shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))  # 4 TB, on paper


def elsewhere(file, at):
    file[at] = h5py.ExternalLink("/etc/passwd", "/x")


def bytes_of_another_file(file, at):
    file.create_dataset(at, shape=(1, 1, 3, 2), dtype="u1", external=[("/etc/passwd", 0, 6)])


def itself(file, at):
    file[at] = h5py.SoftLink(f"/{at}")


def references(file, at):
    file.create_dataset(at, data=np.array([file.ref] * 6, dtype=object), dtype=h5py.ref_dtype)


@pytest.mark.filterwarnings("error:Skipping nested container")
@pytest.mark.parametrize("write", [huge, elsewhere, bytes_of_another_file, itself, references])
def test_a_checkpoint_with_a_hostile_array_is_refused(write, tmp_path, small_network):
    from taf_keras.evaluation.confusion import ConfusionMatrix
    from taf_keras.storage import checkpoint
    from taf_keras.taf.objectives import KeyFrames
    from taf_keras.taf.trainer import TAFTrainer

    trainer = TAFTrainer(KeyFrames(small_network), ConfusionMatrix("ab"))
    path = checkpoint.save(trainer, tmp_path, 1, {})
    load_network(Config(), "ab", path)  # as it is, it is one
    kernels = []
    with h5py.File(path, "r+") as file:
        file.visititems(
            lambda name, item: kernels.append(name) if getattr(item, "shape", ()) == (1, 1, 3, 2) else None
        )
        del file[kernels[0]]
        write(file, kernels[0])
    assert refusal(load_network, Config(), "ab", path).startswith(f"{path}: not a checkpoint of this model")


OWN_MODELS = [(name, write) for name, write in HOSTILE_WEIGHTS if name.endswith(".keras")]


@pytest.mark.parametrize(("name", "write"), OWN_MODELS, ids=[name for name, _ in OWN_MODELS])
def test_a_model_in_a_keras_file_runs_no_code(name, write, tmp_path, mark):
    write(tmp_path / name, mark)
    mark.unlink(missing_ok=True)  # of building the model that is saved
    message = refusal(build_model, ModelConfig(model=str(tmp_path / name)), 2)
    assert message.startswith(f"--model={tmp_path / name}: Keras cannot load it in safe mode: ")


@pytest.mark.parametrize("changed", [False, True])
def test_a_run_that_names_a_python_file_executes_it_unless_it_has_changed(changed, tmp_path):
    """As SECURITY.md says: who uses a stranger's run looks at `model` in its config.json."""
    code, mark = tmp_path / "theirs.py", tmp_path / "executed"
    code.write_text(f"open({str(mark)!r}, 'w').close()\n")
    network = {"model": f"{code}:network", "model_sha256": "0" * 64 if changed else sha256(code)}
    (tmp_path / "config.json").write_text(
        json.dumps(Config(model=ModelConfig(**network), taf=TAFConfig("baseline")).to_dict())
    )
    message = refusal(load_network, Run(tmp_path).config, "ab", tmp_path / "checkpoint")
    assert ("has changed since the run began" if changed else "has no function network") in message
    assert mark.exists() != changed


def test_a_flag_file_may_name_a_python_file_which_reading_it_does_not_execute(tmp_path):
    code, mark = tmp_path / "theirs.py", tmp_path / "executed"
    code.write_text(f"open({str(mark)!r}, 'w').close()\n")
    flags = tmp_path / "theirs.flags"
    flags.write_text(f"--model={code}:network\n--method=baseline\n--model_dir={tmp_path}/elsewhere\n")
    config = parse_config([f"--flagfile={flags}"])
    assert config.model.file == code
    assert config.runtime.model_dir == f"{tmp_path}/elsewhere"
    assert not mark.exists()


REACHES_OUT = {"urllib.request", "http", "requests", "ftplib", "smtplib", "socket", "ssl"}


def test_only_several_machines_have_to_do_with_the_network():
    """What else is fetched, ImageNet weights, Keras fetches."""
    found = set()
    for path in (ROOT / "taf_keras").rglob("*.py"):
        names = re.findall(r"^\s*(?:import|from) ([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if REACHES_OUT & {part for name in names for part in (name, name.partition(".")[0])}:
            found.add(path.relative_to(ROOT / "taf_keras").as_posix())
    assert found == {"local_cluster.py", "multi_worker/rendezvous.py"}


UNSAFE = r"allow_pickle|\bimport pickle|\bload_model\(|safe_mode|enable_unsafe|\beval\(|\bexec\(|exec_module"
# The one place where layers come from a file: a model of the user's own, which the flag names as such.
SAFE_MODE = "keras.models.load_model(config.file, compile=False, safe_mode=True)"
IMPORT = "spec.loader.exec_module(module)"


def test_nothing_unpickles_or_loads_layers_from_files():
    """np.load refuses pickles unless it is told otherwise; load_model would build layers from a file."""
    for path in (ROOT / "taf_keras").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path == ROOT / "taf_keras" / "models" / "own.py":
            for once in (SAFE_MODE, IMPORT):
                assert text.count(once) == 1
                text = text.replace(once, "")
        found = re.findall(UNSAFE, text)
        assert not found, f"{path}: {found}"


# --- config.json ------------------------------------------------------------------------------------


def with_setting(group: str, name: str, value) -> str:
    settings = Config().to_dict()
    settings[group][name] = value
    return json.dumps(settings)


HOSTILE_SETTINGS = [
    ("training", "epochs", "many"),
    ("training", "epochs", 2.5),
    ("training", "epochs", True),
    ("training", "seed", 10**40),
    ("training", "seed", [0]),
    ("training", "learning_rate", float("nan")),
    ("training", "learning_rate", 10**400),
    ("training", "batch_size", float("inf")),
    ("training", "dtype", None),
    ("training", "gradient_accumulation_steps", 0),
    ("model", "model", {"a": 1}),
    ("model", "backbone_weights", 7),
    ("model", "head_channels", 10**9),
    ("model", "backbone_width", "inf"),
    ("data", "image_size", [3]),
    ("data", "image_size", ["a", "b"]),
    ("data", "image_size", [10**9, 10**9]),
    ("data", "data_dir", "a\0b"),
    ("data", "data_dir", 5),
    ("data", "flip", "no"),
    ("data", "min_scale", float("nan")),
    ("taf", "change_rates", [float("nan")] * 5),
    ("taf", "change_rates", ["a"] * 5),
    ("taf", "change_rates", "later"),
    ("taf", "change_rates", 5),
    ("taf", "rates_quantile", None),
    ("runtime", "export_formats", 5),
    ("runtime", "model_dir", {}),
]


@pytest.mark.parametrize(
    ("group", "name", "value"), HOSTILE_SETTINGS, ids=[f"{n}={str(v)[:12]!r}" for _, n, v in HOSTILE_SETTINGS]
)
def test_a_setting_of_another_type_or_size_is_named(group, name, value, tmp_path):
    (tmp_path / "config.json").write_text(with_setting(group, name, value))
    message = refusal(lambda: Run(tmp_path).config)
    assert message.startswith(f"{tmp_path / 'config.json'}: damaged: ")
    assert name in message
    assert len(message) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        *(
            DEEP,
            '{"a":' * 100_000,
            f'{{"training": {{"epochs": {MANY_DIGITS}}}}}',
            b"\xff\xfe{}",
            "{}{}",
            "3",
        ),
        *('{"training": [1, 2]}', '{"training": "fast"}', '{"__class__": {"os.system": "true"}}'),
    ],
    ids=range(9),
)
def test_a_config_that_is_none_is_refused(content, tmp_path):
    (tmp_path / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert "config.json: damaged: " in refusal(lambda: Run(tmp_path).config)


# --- Figures of runs --------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path) -> Run:
    """A run that has ended, but for its figures."""
    run = Run(tmp_path / "run")
    run.claim(Config())
    return run


def job(run: Run) -> Job:
    return Job("arm", (), Config(runtime=RuntimeConfig(model_dir=str(run.folder))))


BAD_METRICS = ["", "{", DEEP, "[1]", f'{{"miou": {MANY_DIGITS}}}', b"\xff", "{}"]
BAD_METRICS += ['{"miou": "<b>", "pixel_accuracy": 1}', '{"miou": [1], "pixel_accuracy": {}}']


@pytest.mark.parametrize("content", BAD_METRICS, ids=range(len(BAD_METRICS)))
def test_damaged_metrics_are_named(content, run):
    """By a sweep; and by a report, which leaves the run out."""
    run.metrics_file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refusal(collect, [job(run)]).startswith(f"{run.metrics_file}: damaged: ")
    assert refusal(gather, [run.folder]).endswith("no run here has ended (config.json and metrics.json)")


BAD_HISTORIES = {  # what a report takes of each: (rows, columns) of numbers, or None where it names the file
    b"": None,
    b"epoch\n<script>\n": (0, []),
    b"loss\n1\n": None,
    b"epoch,loss\n0,1,2\n1\n": (1, ["loss"]),
    b"\xff\xfe\0": None,
    b"epoch,loss\n0,\0\n": (1, ["loss"]),
}


@pytest.mark.parametrize(("content", "taken"), BAD_HISTORIES.items(), ids=range(len(BAD_HISTORIES)))
def test_a_damaged_history_is_refused_or_harmless(content, taken, run):
    run.history_file.write_bytes(content)
    histories, damaged = read_histories([run])
    assert [(len(history), list(history)) for history in histories] == ([taken] if taken else [])
    assert all(dtype.kind in "fiu" for history in histories for dtype in history.dtypes)
    assert len(damaged) == (taken is None)
    assert all(line.startswith(f"{run.history_file}: damaged: ") and "\n" not in line for line in damaged)
    assert job(run).epochs_done <= 2
    try:
        assert len(WriteHistory(run.history_file, first_epoch=1).rows) <= 1
    except UserError:
        assert refusal(WriteHistory, run.history_file, 1).startswith(f"{run.history_file}: damaged: ")


# --- Manifests --------------------------------------------------------------------------------------


@pytest.fixture
def clips(tmp_path) -> Path:
    (tmp_path / "classes.json").write_text('{"classes": [{"name": "road"}, {"name": "sky"}]}')
    return tmp_path


@pytest.mark.parametrize(
    "content", [DEEP, f'{{"classes": {MANY_DIGITS}}}', '{"classes": NaN}', '{"classes": 1e999}']
)
def test_hostile_classes_are_refused(content, clips):
    (clips / "classes.json").write_text(content)
    assert refusal(manifest.class_table, str(clips)).startswith(f"{clips}/classes.json: ")


@pytest.mark.parametrize(
    "path",
    [
        *("https://example.org/a.png", "file:///etc/passwd", "|touch code_was_run", "=HYPERLINK(A1)"),
        *("$(id).png", "~/a.png", "a" * 100_000, "a/" * 5000 + "b.png"),
    ],
    ids=lambda path: path[:12],
)
def test_a_path_is_a_path_and_nothing_else(path, clips):
    """It names a file in data_dir, which is not there."""
    (clips / "train.csv").write_text(f"clip,frame,image,label\na,1,{path},{path}\n")
    split = load.load_split(DataConfig(dataset="manifest", data_dir=str(clips)), "train")
    assert refusal(check_split, split, 0).startswith(f"{clips}/{path.split('/')[0][:20]}")


def test_a_field_beyond_all_measure_is_refused(clips):
    (clips / "train.csv").write_text(f"clip,frame,image,label\na,1,{'a' * 200_000},l.png\n")
    assert refusal(manifest.load_split, str(clips), "train", 0) == (
        f"{clips}/train.csv:2: is not CSV: field larger than field limit (131072)"
    )


def test_a_formula_is_text(clips):
    (clips / "train.csv").write_text("clip,frame,image,label\n\"=cmd|'/c calc'!A1\",1,a.png,l.png\n")
    (clip,) = manifest.load_split(str(clips), "train", 0).clips
    assert clip.video == "=cmd|'/c calc'!A1"


# --- Exported models --------------------------------------------------------------------------------


def test_a_damaged_export_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(pickle.dumps([1]))
    assert refusal(saved_model_predictor, str(tmp_path)).startswith(
        f"{tmp_path}: not an exported model, or damaged"
    )


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", DEEP, "[]", '{"names": ["a"]}', '{"names": ["a"], "colours": [[1, 2]]}'),
        *('{"names": ["a"], "colours": [[1, 2, 1000000]]}', '{"names": ["a", "b"], "colours": [[1, 2, 3]]}'),
        '{"names": ["a"], "colours": [[1, 2, 3]], "image_size": [0, 4]}',
    ],
    ids=range(9),
)
def test_the_class_table_of_an_export_may_be_damaged(content, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    if content is not None:
        (tmp_path / "assets.extra" / "classes.json").write_text(content)
    assert "classes.json: missing or damaged: " in refusal(load_classes, tmp_path)
