"""Trains a single-frame segmentation model from partially annotated clips, evaluates and exports it.

    taf-train                                         the synthetic data set, minutes on two cores
    taf-train --flagfile=camvid_deeplabv3plus_mobilenetv2_taf --data_dir=CAMVID

Flags after a flag file win over it.
"""

from . import CONFIG_MODULES, config_from_flags, script


def main() -> None:
    config = config_from_flags()

    from taf_keras.training.run import train  # TensorFlow takes seconds to import: not before --help

    train(config)


def run() -> None:
    script.run(main, *CONFIG_MODULES)


if __name__ == "__main__":
    run()
