"""What stands in for TensorFlow Serving in a test: its REST and gRPC calls, as its documentation has them.

REST: POST /v1/models/NAME:predict with {"signature_name": …, "instances": …} (rows) or {"inputs": …}
(columns). An input that stands alone may be given without its name, and an output that stands alone has none.
The answer is {"predictions": …} or {"outputs": …}, or {"error": …} with another status than 200.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import tensorflow as tf


class Refused(Exception):
    """What the server answers with a status of 400."""


def answer(model, request: dict) -> dict:
    """The answer to a request's JSON object, as a JSON object."""
    signature = signature_of(model, request.get("signature_name", "serving_default"))
    if ("instances" in request) == ("inputs" in request):
        raise Refused("needs either instances or inputs")
    specs = signature.structured_input_signature[1]
    if "inputs" in request:
        given = request["inputs"]
        columns = given if isinstance(given, dict) else {next(iter(specs)): given}
        outputs = run(signature, {name: parsed(value, specs[name]) for name, value in columns.items()})
        return {"outputs": without_lone_name({name: x.tolist() for name, x in outputs.items()})}
    rows = [row if isinstance(row, dict) else {next(iter(specs)): row} for row in request["instances"]]
    outputs = run(signature, {name: parsed([row[name] for row in rows], specs[name]) for name in specs})
    if any(len(x) != len(rows) for x in outputs.values()):
        raise Refused("an output has not one row for each instance")
    return {
        "predictions": [
            without_lone_name({name: x[i].tolist() for name, x in outputs.items()}) for i in range(len(rows))
        ]
    }


def signature_of(model, name: str):
    if name not in model.signatures:
        raise Refused(f"no signature {name}")
    return model.signatures[name]


def parsed(value, spec: tf.TensorSpec) -> tf.Tensor:
    """Nested lists as a tensor. For integers a decimal point is refused, for bytes a number above 255."""
    try:
        array = np.array(value)  # refuses lists of unequal lengths
    except ValueError as error:
        raise Refused(str(error)) from None
    kind = spec.dtype.as_numpy_dtype
    if np.issubdtype(kind, np.integer):
        bounds = np.iinfo(kind)
        if array.dtype.kind != "i" or array.min() < bounds.min or array.max() > bounds.max:
            raise Refused(f"is not of expected type: {spec.dtype.name}")
    return checked(tf.constant(array, spec.dtype), spec)


def checked(tensor: tf.Tensor, spec: tf.TensorSpec) -> tf.Tensor:
    if tensor.dtype != spec.dtype or not spec.shape.is_compatible_with(tensor.shape):
        raise Refused(f"input is {tensor.dtype.name} {tensor.shape}, expected {spec.dtype.name} {spec.shape}")
    return tensor


def run(signature, inputs: dict) -> dict[str, np.ndarray]:
    return {name: x.numpy() for name, x in signature(**inputs).items()}


def without_lone_name(values: dict):
    return next(iter(values.values())) if len(values) == 1 else values


@contextmanager
def rest(model, name: str) -> Iterator[int]:
    """The port of a REST server of this machine with one model."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                if self.path != f"/v1/models/{name}:predict":
                    raise Refused(f"Malformed request: POST {self.path}")
                status, content = 200, answer(model, json.loads(body))
            except Refused as error:
                status, content = 400, {"error": str(error)}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *args):
            pass

    server = HTTPServer(("localhost", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def grpc_server(model, name: str) -> Iterator[int]:
    """The port of a gRPC server of this machine with one model. It needs tensorflow-serving-api."""
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            if request.model_spec.name != name:
                context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.model_spec.name}")
            signature = signature_of(model, request.model_spec.signature_name or "serving_default")
            specs = signature.structured_input_signature[1]
            given = {
                key: checked(tf.constant(tf.make_ndarray(x)), specs[key]) for key, x in request.inputs.items()
            }
            response = predict_pb2.PredictResponse()
            for key, x in run(signature, given).items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(x))
            return response

    server = grpc.server(ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()
