"""A trainer that reads flags and keeps a run's folder as train.py does, but learns nothing."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]

# mIoU: 0.30 + 0.01·seed, and 0.02 more with TAF. λ = 13 fails, and so does a teacher that has not ended;
# λ = 14 is killed; 1000 epochs last until they are interrupted.
TRAINER = f"""
import os, sys, time
from types import SimpleNamespace
sys.path.insert(0, {str(ROOT)!r})
from flags import CONFIG_MODULES, config_from_flags, script
from taf_keras.errors import UserError
from taf_keras.files import write_json
from taf_keras.storage.run import Run

CLIPS = [SimpleNamespace(name="quay", key_number=n) for n in (1, 2)]

def main():
    config = config_from_flags()
    run = Run(config.runtime.model_dir)
    run.check(config)
    if run.has_ended:
        print("has ended already")
        return
    run.claim(config, clips=CLIPS[:1])
    with open(sys.argv[0] + ".trained", "a") as log:
        log.write(f"{{run.folder.parent.name}}/{{run.folder.name}}\\n")
    teacher = config.partner_labels.teacher
    if teacher and not Run(teacher).has_ended:
        raise UserError(f"{{teacher}} has not ended")
    if config.taf.weight == 13:
        raise UserError("no luck")
    if config.taf.weight == 14:
        print("in the middle of", flush=True)
        os.kill(os.getpid(), 9)
    if config.training.epochs == 1000:
        time.sleep(100)
    miou = 0.3 + 0.01 * config.training.seed + 0.02 * (config.taf.method == "taf")
    split = config.data.eval_split.replace("auto", "test")
    metrics = {{"miou": miou, "pixel_accuracy": 0.5, "split": split, "frames": 1}}
    write_json(run.metrics_file, metrics | {{"per_class_iou": {{}}, "per_class_accuracy": {{}}}})

script.run(main, *CONFIG_MODULES)
"""


def write_trainer(folder: Path, changes: Mapping[str, str] = MappingProxyType({})) -> Path:
    """The trainer as a script, whose text has each key of `changes` once: its value takes the place."""
    path, text = folder / "trainer.py", TRAINER
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    return path


def trained(trainer: Path) -> list[str]:
    """What was trained so far, in alphabetical order."""
    return sorted(Path(f"{trainer}.trained").read_text().split())
