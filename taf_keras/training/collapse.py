"""An alarm for branches that have become constant: the trivial solution of every slowness constraint."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from taf_keras.clips.clip import Split
from taf_keras.clips.decode import read_image
from taf_keras.errors import spoken
from taf_keras.evaluation.branches import BranchedNetwork, mean_over_places

FRAMES = 8  # key frames of the validation split on which branches are watched
LEAST_CHANGE = 0.0002  # share of the pixels


class WatchBranches(keras.callbacks.Callback):
    """At each validation, replaces every branch Φ_i by its mean and counts the pixels whose class changes.

    A feature that is constant over frames and places keeps every constraint on its change, and tells Ω
    nothing. The share goes to the logs (and so to TensorBoard and history.csv) as `changed_by_mean/BRANCH`;
    a branch that falls below LEAST_CHANGE is named on the terminal, and again when it recovers.
    """

    def __init__(self, network: keras.Model, layers: Mapping[str, str], split: Split, image_size):
        super().__init__()
        self.network = BranchedNetwork(network, layers)
        stride = max(1, len(split.clips) // FRAMES)
        frames = [clip.key_frame.image for clip in split.clips[::stride][:FRAMES]]
        self.images = [read_image(frame, image_size)[None] for frame in frames]
        self.collapsed = set()

    def on_epoch_end(self, epoch, logs=None):
        if "val_miou" not in logs:
            return
        for branch, share in self.changed_shares().items():
            logs[f"changed_by_mean/{branch}"] = share
            if (share < LEAST_CHANGE) != (branch in self.collapsed):
                self._report(epoch + 1, branch, share)

    def changed_shares(self) -> dict[str, float]:
        """{branch: share of the pixels, in [0, 1], whose class changes when it is replaced by its mean}.

        The mean is over the height, width and watched frames: one vector.
        """
        features = [self.network.features(image) for image in self.images]
        changed = dict.fromkeys(self.network.branches, 0.0)
        means = {
            branch: sum(map(mean_over_places, (f[branch] for f in features))) / len(features)
            for branch in self.network.branches
        }
        for own in features:
            prediction = self.network.predict(own)
            for branch, mean in means.items():
                flat = ops.broadcast_to(mean, own[branch].shape)
                differs = self.network.predict(own | {branch: flat}) != prediction
                changed[branch] += float(np.mean(differs)) / len(features)
        return changed

    def _report(self, epoch: int, branch: str, share: float) -> None:
        if share < LEAST_CHANGE:
            self.collapsed.add(branch)
            text = spoken(
                f"warning: epoch {epoch}: branch {branch} may have collapsed: its mean in its place "
                f"changes {share:.2%} of the pixels. A larger change rate or a smaller --taf_weight "
                "gives it room"
            )
            print(f"\n{text}", flush=True)
        else:
            self.collapsed.discard(branch)
            print(f"\nepoch {epoch}: branch {branch} is back: {share:.1%} of the pixels", flush=True)
