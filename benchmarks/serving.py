"""What evaluation and the exported model cost beside the network's own forward pass.

forward         the network without its last layer, compiled: logits at stride 4, nothing else
evaluation      `evaluate_split` on frames in memory: resize to full size, argmax, confusion matrix per frame
validation      `fit`'s compiled test function: the same, with the confusion matrix as a Keras metric
compiled        the Keras model as a compiled function of one frame that returns what the export returns
SavedModel      `serve` of the export, loaded again
labels          its signature `labels`, which makes no full-size probabilities
video           `taf_keras.predict` on a video: the same call, with decoding, overlay and encoding beside it

TAF is to leave no trace in the export: of the exports of a network that made a TAF step and of one that made
a plain one, the operations are counted by type, in the graph and its functions, and the bytes of all files.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections import Counter
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from benchmarks.timing import Options, Row, Target, medians, ratios, seconds, take_turns
from benchmarks.train_step import (
    CLASSES,
    MOBILENETV2,
    SMALL,
    build_trainer,
    compiled_step,
    in_memory,
    random_batch,
    settings,
    warmed_up,
)
from taf_keras.clips.clip import ClassTable, Clip, Frame, Split
from taf_keras.evaluation.evaluate import evaluate_split, network_predictor
from taf_keras.serving.export import export_model
from taf_keras.serving.frame_source import FrameSource, Selection
from taf_keras.serving.runtimes import load_predictor
from taf_keras.serving.video_prediction import predict_video
from taf_keras.serving.video_results import VideoResults
from taf_keras.video.frames import decode
from taf_keras.video.write import VideoWriter

TABLE = ClassTable(tuple(f"class{i}" for i in range(CLASSES)), ((0, 0, 0),) * CLASSES)
BATCH = 8  # of `evaluation_batches`
BATCHES = 5  # so that what an evaluation does once hardly counts


def size_and_model(options: Options):
    """((height, width) of a frame, network)."""
    return ((64, 96), SMALL) if options.smoke else ((360, 480), MOBILENETV2)


def evaluation(options: Options) -> list[Row]:
    size, model = size_and_model(options)
    config = settings(model, "baseline", BATCH)
    trainer, batch = build_trainer(config), random_batch(config, size)
    pairs = zip(batch["image"], batch["label"], strict=True)
    clips = tuple(Clip(f"clip{i}", (Frame(0, *pair),), 0) for i, pair in enumerate([*pairs] * BATCHES))
    split, predict = Split("val", clips, TABLE), network_predictor(trainer.network)
    to_logits = keras.Model(trainer.network.input, trainer.network.get_layer("logits").output)

    @tf.function
    def forward(images):
        return to_logits(tf.cast(images, tf.float32), training=False)

    trainer.make_test_function()
    iterator, images = iter(in_memory(batch)), tf.constant(batch["image"])

    def repeated(call):
        return lambda: [call() for _ in range(BATCHES)]

    calls = {
        "forward": repeated(lambda: forward(images).numpy()),
        "evaluation": lambda: evaluate_split(predict, split, None),
        "validation": repeated(lambda: float(trainer.test_function(iterator)["miou"])),
    }
    variants = {name: seconds(warmed_up(call), options.clock) for name, call in calls.items()}
    results = take_turns("evaluation", variants, options.rounds)
    against, target = f"forward pass, {BATCH} frames of {size[0]}x{size[1]}", Target("≤", 1.05)
    note = medians(results, f"ms for {BATCH} frames", 1000 / BATCHES)
    return [
        Row.of(what, against, ratios(results[name], results["forward"]), target, note)
        for name, what in (("evaluation", "evaluate.py's loop"), ("validation", "validation step"))
    ]


def exported(options: Options) -> list[Row]:
    size, model = size_and_model(options)
    with tempfile.TemporaryDirectory() as folder:
        networks = {}
        for method in ("baseline", "taf"):
            config = settings(model, method, images=4)
            trainer = build_trainer(config)
            compiled_step(trainer, in_memory(random_batch(config, (64, 64))))()
            networks[method] = trainer.network
            export_model(trainer.network, TABLE, Path(folder, method))
        return [timing(networks["taf"], Path(folder, "taf"), size, options), *sameness(Path(folder))]


def video(options: Options) -> list[Row]:
    """Frames a second of the command on a video against bare calls on the same frames in memory."""
    size, model = size_and_model(options)
    network = build_trainer(settings(model, "baseline", images=4)).network
    with tempfile.TemporaryDirectory() as folder:
        export_model(network, TABLE, Path(folder, "export"))
        movie = Path(folder, "movie.mp4")
        write_video(movie, size, frames=8 if options.smoke else 40)
        frames = [frame.image[None, ..., ::-1] for frame in decode(movie, lambda index: True)]
        predictor = load_predictor(Path(folder, "export"), "tensorflow")
        loaded = tf.saved_model.load(str(Path(folder, "export")))

        def predicted():
            source = FrameSource(movie, Selection())
            results = VideoResults(Path(folder, "out"), TABLE, "none", source.rate)
            with contextlib.redirect_stdout(io.StringIO()):
                predict_video(source, results, predictor.labels)

        calls = {
            "serve": lambda: [loaded.serve(frame)["labels"].numpy() for frame in frames],
            "labels": lambda: [predictor.labels(frame) for frame in frames],
            "video": predicted,
        }
        variants = {name: seconds(warmed_up(call), options.clock) for name, call in calls.items()}
        results = take_turns("video", variants, options.rounds)
    target, note = Target("≥", 0.9), medians(results, "ms a frame", 1000 / len(frames))
    return [
        Row.of(
            "frames a second of a predicted video",
            f"bare calls of `{name}`, {len(frames)} frames of {size[0]}x{size[1]}",
            ratios(results[name], results["video"]),
            target,
            note,
        )
        for name in ("serve", "labels")
    ]


def write_video(path: Path, size: tuple[int, int], frames: int) -> None:
    """H.264 with PyAV, of noise that moves."""
    height, width = size
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8 + frames, 3), np.uint8)
    noise = cv2.resize(noise, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    writer = VideoWriter(path, 25)
    for index in range(frames):
        writer.write(np.ascontiguousarray(noise[:height, 8 * index : 8 * index + width]), 40 * index)
    writer.close()


def timing(network, export: Path, size: tuple[int, int], options: Options) -> Row:
    """The export of `network` against `network`, with one frame."""
    frame = tf.constant(np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8))
    loaded = tf.saved_model.load(str(export))

    @tf.function
    def compiled(images):
        logits = network(tf.cast(images, tf.float32), training=False)
        return {"probabilities": tf.nn.softmax(logits), "labels": tf.argmax(logits, -1, tf.int32)}

    np.testing.assert_allclose(
        loaded.serve(frame)["probabilities"], compiled(frame)["probabilities"], rtol=1e-3, atol=1e-5
    )
    calls = {
        name: lambda serve=serve: serve(frame)["labels"].numpy()
        for name, serve in (("SavedModel", loaded.serve), ("compiled", compiled))
    }
    variants = {name: seconds(warmed_up(call), options.clock, times=10) for name, call in calls.items()}
    results = take_turns("export", variants, options.rounds)
    return Row.of(
        "SavedModel",
        f"compiled Keras model, one frame of {size[0]}x{size[1]}",
        ratios(results["SavedModel"], results["compiled"]),
        Target("≤", 1.02),
        medians(results, "ms a frame", 1000),
    )


def sameness(folder: Path) -> list[Row]:
    """Operations and bytes of folder/taf against folder/baseline."""
    ours, plain = (operations(folder / name) for name in ("taf", "baseline"))
    different = (ours - plain) + (plain - ours)
    note = f"{ours.total()} operations of {len(ours)} types" + (
        f", DIFFERENT: {different}" if different else ""
    )
    sizes = [sum(p.stat().st_size for p in (folder / name).rglob("*.*")) for name in ("taf", "baseline")]
    against, same = "exported baseline", Target("=", 1.0)
    # One operation more and another less would hide in the total.
    count = (plain.total() + different.total()) / plain.total()
    return [
        Row.of("operations of the model exported after TAF", against, [count], same, note),
        Row.of("its bytes", against, [sizes[0] / sizes[1]], same, f"{sizes[0]:,} and {sizes[1]:,} bytes"),
    ]


def operations(export: Path) -> Counter:
    """How often each type of operation occurs in a SavedModel."""
    saved = saved_model_pb2.SavedModel.FromString((export / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    return Counter(node.op for part in (graph, *graph.library.function) for node in nodes(part))


def nodes(part):
    """The nodes of a graph or of a function."""
    return part.node if hasattr(part, "node") else part.node_def
