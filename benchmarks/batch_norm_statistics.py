"""What it costs that moving batch norm statistics see swapped features: mIoU before and after re-estimation.

    python benchmarks/batch_norm_statistics.py MODEL_DIR…

The statistics of a trained model are re-estimated on unswapped training frames (key frames and their
partners, with the training augmentation), its weights left as they are, and both are evaluated.
"""

import argparse

import tensorflow as tf

from taf_keras.clips.load import class_table, evaluation_split, load_split
from taf_keras.evaluation.evaluate import evaluate_split, network_predictor
from taf_keras.evaluation.network import load_network
from taf_keras.pipeline.batches import training_batches
from taf_keras.storage.checkpoint import latest
from taf_keras.storage.model_dir import ModelDir

STEPS = 60  # at momentum 0.9 nothing is left of the old statistics


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model_dirs", nargs="+", metavar="MODEL_DIR")
    for path in parser.parse_args().model_dirs:
        run = ModelDir(path)
        config = run.read_config()
        network = load_network(config, class_table(config.data).names, latest(run.checkpoints)[1])
        split = load_split(config.data, evaluation_split(config.data))

        def miou(network=network, split=split, config=config) -> float:
            return evaluate_split(network_predictor(network), split, config.data.image_size)[0]["miou"]

        before = miou()
        forward = tf.function(lambda frames, network=network: network(frames, training=True))
        for batch in training_batches(load_split(config.data, "train"), config, steps=STEPS):
            frames = tf.concat([batch[name] for name in ("image", "partner") if name in batch], axis=0)
            forward(tf.cast(frames, tf.float32))
        print(f"{path}: mIoU {before:.2%} as trained, {miou():.2%} with statistics of unswapped frames")


if __name__ == "__main__":
    main()
