"""Trains a single-frame segmentation model from partially annotated clips, evaluates and exports it.

    python train.py                                   the synthetic data set, minutes on two cores
    python train.py --flagfile=camvid_deeplabv3plus_mobilenetv2_taf --data_dir=CAMVID

Flags after a flag file win over it.
"""

from flags.train_command import run  # flags → config → taf_keras.training.run.train

if __name__ == "__main__":
    run()
