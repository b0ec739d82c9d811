"""Trains a single-frame segmentation model from partially annotated clips, evaluates and exports it.

    python train.py                                   the synthetic data set, minutes on two cores
    python train.py --flagfile=flags/recipes/camvid_deeplabv3plus_mobilenetv2_taf.flags --data_dir=CAMVID

Flags after a flag file win over it.
"""

from flags import CONFIG_MODULES, config_from_flags, script


def main() -> None:
    config = config_from_flags()

    from taf_keras.training.run import train  # TensorFlow takes seconds to import: not before --help

    train(config)


if __name__ == "__main__":
    script.run(main, *CONFIG_MODULES)
