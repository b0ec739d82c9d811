"""Whether TAF has gained on one's own clips: against a baseline of the same budget, or how to find out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.run_flags import baseline_command
from taf_keras.storage.run import Run


def gain(run: Run) -> str | None:
    """A line on what TAF has gained in a run that has ended; None for other methods, and synthetic clips.

    A baseline of the same budget is looked for beside the run: the same clips, network, key frames a step,
    steps, seed and evaluated split.
    """
    config = run.config
    if not config.swaps or config.labels_partners or config.data.dataset == "synthetic":
        return None
    found = _baseline(run)
    if found is None:
        command = baseline_command(config, f"{run.folder}_baseline")
        return f"whether TAF helps here, a baseline beside it says: {command}"
    own, other = (100 * each.metrics["miou"] for each in (run, found))
    what = "gained" if own >= other else "lost"
    return (
        f"TAF {what} {abs(own - other):.2f} points of mIoU on {run.metrics['split']} against {found.folder} "
        f"({other:.2f} → {own:.2f}), the same budget and seed; one pair is a hint: python -m taf_keras.sweep "
        "with --seeds=0,1,2 says how sure it is"
    )


def _baseline(run: Run) -> Run | None:
    try:
        beside = sorted(Path(run.folder).resolve().parent.iterdir())
    except OSError:  # of a folder that may not be listed
        return None
    for folder in beside:
        other = Run(folder)
        try:
            same = other.has_ended and _budget(other.config) == _budget(run.config)
            if same and _same_clips(other, run) and other.config.taf.method == "baseline":
                return other
        except (UserError, OSError):  # a damaged run is none, nor is a folder that may not be read
            continue
    return None


def _same_clips(one: Run, other: Run) -> bool:
    """Whether both saw the same, as far as they say; labels may have come between them."""
    if any(one.metrics[name] != other.metrics[name] for name in ("split", "frames")):
        return False
    # What else is left out depends on what a method needs.
    known = one.train_clips and other.train_clips and one.config.data.on_bad_file == "refuse"
    return not known or one.train_clips == other.train_clips


def _budget(config: Config):
    """What two runs have in common whose metrics can be compared."""
    data = replace(config.data, temporal_context=0)  # which a baseline does not use
    training = replace(config.training, batch_size=2 * config.key_frames_per_step)
    return data, config.model, training
