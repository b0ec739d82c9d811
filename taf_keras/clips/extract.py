"""Writes the frames around a data set's key frames from its videos, numbered as the key frames are.

    python -m taf_keras.clips.extract --layout=camvid --data_dir=CAMVID --video=0006R0.MXF
    python -m taf_keras.clips.extract --layout=camvid --data_dir=CAMVID --video=0005VD.MXF --name=Seq05VD
    python -m taf_keras.clips.extract --layout=manifest --data_dir=DATA --split=train --video=street.mp4

camvid: key frames are the stills in data_dir/{train,val,test}, NAME_NUMBER.png.
manifest: key frames are the labelled rows of data_dir/SPLIT.csv (clip,frame,image,label); `clip` is NAME.

Frames go to data_dir/frames/NAME/NUMBER.jpg, with a report in extraction.csv beside them. A frame's index in
the video may be shifted against its number, so every key frame is looked for among the decoded frames first;
nothing is written under numbers that the key frames contradict. The same command goes on where a killed one
stopped. Exit code: 0 all frames are there, 1 some are missing, 2 nothing could be done.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from taf_keras.clips import camvid
from taf_keras.clips.decode import read_image
from taf_keras.clips.match import ABSENT, MATCHED, Match, consensus, find_stills, table
from taf_keras.clips.video import PART, image_size, irregularity, save_frames, write
from taf_keras.errors import UserError
from taf_keras.progress import Progress

COLUMNS = ("clip", "frame", "image", "label")
_RECORD = "extraction.json"  # the settings that the folder's frames were written with
_REPORT = "extraction.csv"
_FORMATS = ("jpg", "png")
