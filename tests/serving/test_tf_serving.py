"""docs/serving.md: its signatures are those of the export, and its code and requests do what it says."""

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from model_server import Refused, answer, grpc_server, rest

from benchmarks import runtimes
from taf_keras.serving.formats import FILES
from taf_keras.serving.runtimes import RUNTIMES
from taf_keras.training.run import train

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SIZE = (40, 56)


def code(word: str) -> str:
    """The page's only block of code with this word."""
    (found,) = (block for block in BLOCKS if word in block)
    return found


@pytest.fixture(scope="module")
def folder(finished_run, tmp_path_factory) -> Path:
    """A folder as the page has it: frame.png, and runs/default with all formats added to its export."""
    root, config = tmp_path_factory.mktemp("page"), finished_run[0]
    run = root / "runs" / "default"
    shutil.copytree(config.runtime.model_dir, run)
    train(replace(config, runtime=replace(config.runtime, model_dir=str(run), export_formats=tuple(FILES))))
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    cv2.imwrite(str(root / "frame.png"), frame[..., ::-1])
    return root


@pytest.fixture(scope="module")
def model(folder):
    return tf.saved_model.load(str(folder / "runs" / "default" / "export"))


@pytest.fixture
def page(folder, model, monkeypatch):
    """A function that runs a block and returns its names; the frame's labels by `serve` beside it."""
    monkeypatch.chdir(folder)
    frame = cv2.imread("frame.png")[..., ::-1]

    def run(word: str, **changes: str) -> dict:
        names, text = {}, code(word)
        for old, new in changes.items():
            text = text.replace(old, new)
        exec(compile(text, "docs/serving.md", "exec"), names)
        np.testing.assert_array_equal(names["frame"], frame)
        return names

    run.expected = model.serve(frame[None])["labels"][0].numpy()
    return run


# --- Python -------------------------------------------------------------------------------------------


def described(shape, classes: int) -> str:
    names = ("batch", "height", "width", str(classes))
    return f"({', '.join(names[: len(shape)])}{',' * (len(shape) == 1)})"


def test_the_table_has_the_signatures_of_the_export(model):
    classes = model.signatures["serving_default"].structured_outputs["probabilities"].shape[-1]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line[:3] == "| `"
    ]
    table = {row[0].strip("`"): row[1:] for row in rows}
    assert set(model.signatures) <= set(table)
    for name, signature in model.signatures.items():
        ((given, spec),) = signature.structured_input_signature[1].items()
        assert (given, spec.shape.as_list()) == ("images", [None, None, None, 3])
        kind, outputs = table[name]
        assert kind == spec.dtype.name
        same = table["serving_default"][1] if outputs == "the same" else outputs
        expected = [
            f"`{key}` {x.dtype.name} {described(x.shape, classes).replace(f'{classes}', 'classes')}"
            for key, x in sorted(signature.structured_outputs.items(), key=lambda item: item[0] != "labels")
        ]
        assert same == ", ".join(expected)


def test_the_code_for_python(page):
    names = page("model.serve")
    np.testing.assert_array_equal(names["labels"], page.expected)
    np.testing.assert_allclose(np.sum(names["probabilities"], axis=-1), 1, atol=1e-5)


# --- TensorFlow Serving: REST -------------------------------------------------------------------------


def test_the_request_by_curl_gets_the_labels_by_rows(page, model):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    page("json.dump")
    with rest(model, "street") as port:
        command = shlex.split(code("curl -d").replace("8501", str(port)))
        sent = subprocess.run([*command, "-s"], capture_output=True, text=True, check=True, timeout=60)
    (prediction,) = json.loads(sent.stdout)["predictions"]
    assert prediction["finite"] is True
    np.testing.assert_array_equal(prediction["labels"], page.expected)


def test_the_request_by_columns_has_one_answer_for_all(page, model):
    page("json.dump", instances="inputs")
    outputs = answer(model, json.loads(Path("request.json").read_text()))["outputs"]
    assert outputs["finite"] == [True]
    np.testing.assert_array_equal(outputs["labels"][0], page.expected)


def test_without_a_signature_there_are_probabilities(page, model):
    page("json.dump")
    request = json.loads(Path("request.json").read_text())
    del request["signature_name"]
    (prediction,) = answer(model, request)["predictions"]
    assert set(prediction) == {"labels", "probabilities"}
    assert np.shape(prediction["probabilities"])[:2] == SIZE
    np.testing.assert_array_equal(prediction["labels"], page.expected)


PIXELS = [[[0, 127, 255]] * 4] * 3


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"instances": [[[[0.0, 1.0, 2.0]]]]}, "is not of expected type: uint8"),
        ({"instances": [[[[0, 1, 256]]]]}, "is not of expected type: uint8"),
        ({"instances": PIXELS}, "expected uint8"),  # no batch
        ({"instances": [[[[0, 1]]]]}, "expected uint8"),  # no RGB
        ({"instances": [PIXELS, PIXELS[:2]]}, "inhomogeneous"),  # frames of two sizes
        ({"instances": [PIXELS], "signature_name": "serve"}, "no signature serve"),
        ({"instances": [PIXELS], "inputs": [PIXELS]}, "either instances or inputs"),
    ],
)
def test_a_request_of_another_form_is_refused(model, request_, message):
    with pytest.raises(Refused, match=message):
        answer(model, request_)
    good = {"signature_name": "labels", "instances": [PIXELS, PIXELS]}
    assert np.shape([each["labels"] for each in answer(model, good)["predictions"]]) == (2, 3, 4)
    named = {"signature_name": "labels", "instances": [{"images": PIXELS}]}
    assert len(answer(model, named)["predictions"]) == 1


def test_sizes_of_messages_are_those_of_the_page():
    """In MB of 10^6 bytes, of a frame of 360x480 px and 11 classes; gRPC's limit is in MB of 2^20."""
    frame = np.random.default_rng(0).integers(0, 256, (1, 360, 480, 3), np.uint8)
    request = json.dumps({"signature_name": "labels", "instances": frame.tolist()})
    assert round(len(request) / 1e6) == 3
    arrays = (frame, frame[..., 0], np.zeros((1, 360, 480, 11), np.float32) + 0.1)
    sizes = [tf.make_tensor_proto(array).ByteSize() / 1e6 for array in arrays]
    assert [f"{size:.2g} MB" for size in sizes] == ["0.52 MB", "0.17 MB", "7.6 MB"]
    for size in ("about 3 MB", "0.52 MB", "0.17 MB", "7.6 MB"):
        assert size in " ".join(PAGE.split())
    assert sizes[1] < 4 * 2**20 / 1e6 < sizes[2]


# --- TensorFlow Serving: gRPC -------------------------------------------------------------------------


def test_the_request_by_grpc(page, model):
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed")
    with grpc_server(model, "street") as port:
        names = page("predict_pb2", **{"8500": str(port)})
    assert names["labels"].dtype == np.uint8
    np.testing.assert_array_equal(names["labels"], page.expected)


def test_the_command_of_the_server_has_the_ports_and_the_name_of_the_requests(folder):
    command = shlex.split(code("docker run").replace("$PWD", str(folder)))
    mount = command[command.index("-v") + 1]
    place, _, target = mount.rpartition(":")
    assert (Path(place) / "saved_model.pb").is_file()
    assert re.fullmatch(r"/models/street/\d+", target)
    assert {"8500:8500", "8501:8501", "MODEL_NAME=street", "tensorflow/serving"} <= set(command)
    assert "localhost:8501/v1/models/street:predict" in code("curl -d")
    assert re.search(r'"street"(.|\n)*"localhost:8500"', code("predict_pb2"))


# --- Other runtimes -----------------------------------------------------------------------------------


def test_the_code_for_onnx_runtime(page):
    (labels,) = page("onnxruntime")["labels"]
    assert (labels == page.expected).mean() > 0.99


def test_the_code_for_litert(page, folder):
    names = page("tf.lite.Interpreter")
    assert names["labels"].shape == SIZE
    assert (names["labels"] == np.argmax(names["probabilities"], axis=-1)).mean() > 0.99


def test_the_table_of_files_has_what_litert_takes(folder):
    files = re.findall(r"^\| `(model\w*\.tflite)` \| (\w+)", PAGE, re.MULTILINE)
    assert {file for file, _ in files} == {FILES["litert"], FILES["litert_int8"]}
    for file, kind in files:
        interpreter = tf.lite.Interpreter(str(folder / "runs" / "default" / "export" / file))
        (given,) = interpreter.get_input_details()
        assert given["dtype"].__name__ == kind
        outputs = interpreter.get_signature_runner().get_output_details()
        kinds = {name: output["dtype"].__name__ for name, output in outputs.items()}
        assert kinds == {"labels": "int32", "probabilities": "float32"}


def test_the_command_of_the_costs_measures_every_runtime(folder, capsys):
    assert "python -m benchmarks.runtimes runs/" in PAGE
    runtimes.main([str(folder / "runs" / "default")])
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line[:1] == "|"]
    assert [row[0] for row in rows[2:]] == list(RUNTIMES)
    for runtime, file, size, milliseconds, miou, points, same in rows[2:]:
        assert (folder / "runs" / "default" / "export" / file).is_file()
        assert min(float(size), float(milliseconds)) > 0
        assert float(miou) - float(rows[2][4]) == pytest.approx(float(points), abs=0.011)
        assert float(same) == 100 or runtime != "tensorflow"
        assert float(same) > 99 or runtime == "litert_int8"  # whose cost test_quantised.py looks at


def test_a_run_that_has_not_ended_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        runtimes.main([str(tmp_path)])
    assert capsys.readouterr().err == f"error: {tmp_path}: holds no run that has ended\n"


def test_the_sentences_below_the_measured_table_are_those_of_its_figures():
    found = re.findall(
        r"^\| (\w+) \| model\w*\.tflite \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) ", PAGE, re.MULTILINE
    )
    (_, *floats), (name, *integers) = ((kind, *map(float, values)) for kind, *values in found)
    assert name == "litert_int8"
    size, milliseconds = (b / a for a, b in zip(floats[:2], integers[:2], strict=True))
    assert "is a third of the float one, and takes three quarters of the time on this CPU" in PAGE
    assert (size, milliseconds) == (pytest.approx(1 / 3, abs=0.03), pytest.approx(3 / 4, abs=0.03))
