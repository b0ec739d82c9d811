"""Which machines train together, and which of them this one is: TF_CONFIG, checked without TensorFlow."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from taf_keras.config import Config
from taf_keras.errors import UserError

_FORM = '{"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0}}'
_ADDRESS = re.compile(r".+:(\d{1,5})")


@dataclass(frozen=True)
class Cluster:
    """The workers of one training.

    Attributes:
        workers: HOST:PORT of each.
        index: which of them this process is. Worker 0 is the chief: it alone writes the run's folder.
    """

    workers: tuple[str, ...] = ("",)
    index: int = 0

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @property
    def is_distributed(self) -> bool:
        return len(self.workers) > 1


def read_cluster(config: Config, environment: Mapping[str, str] = os.environ) -> Cluster:
    """The cluster that TF_CONFIG describes; a single worker where it is not set.

    Raises: UserError where it and `config.runtime.strategy` contradict each other, it is not in order, or the
        workers cannot share a batch evenly.
    """
    strategy, text = config.runtime.strategy, environment.get("TF_CONFIG")
    if not text:
        if strategy == "multi_worker":
            raise UserError(f"--strategy=multi_worker: TF_CONFIG is not set; allowed is {_FORM}")
        return Cluster()
    if strategy in ("single", "mirrored"):
        raise UserError(
            f"--strategy={strategy}: TF_CONFIG describes a cluster; unset it, or take --strategy=multi_worker"
        )
    cluster = _parse(text)
    workers, key_frames = len(cluster.workers), config.key_frames_per_step
    if key_frames % workers:
        raise UserError(
            f"--batch_size={config.training.batch_size}: {key_frames} key frames a step cannot be shared "
            f"evenly by {workers} workers"
        )
    return cluster


def _parse(text: str) -> Cluster:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"TF_CONFIG: not JSON ({error}); allowed is {_FORM}") from None
    jobs = _member(values, "cluster", dict)
    if set(jobs) != {"worker"}:
        found = ", ".join(jobs) or "none"
        raise UserError(
            f"TF_CONFIG: its cluster must have one list, worker, of which the first is the chief, not {found}"
        )
    workers = _member(jobs, "worker", list, "cluster.")
    for address in workers:
        match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if not match or not 0 < int(match[1]) < 2**16:
            raise UserError(f"TF_CONFIG: worker {address!r}: must be HOST:PORT")
    if not workers or len(set(workers)) < len(workers):
        raise UserError(f"TF_CONFIG: cluster.worker={workers}: must name one worker or more, each once")
    task = _member(values, "task", dict)
    if task.get("type") != "worker":
        raise UserError(f"TF_CONFIG: task.type={task.get('type')}: allowed is worker")
    index = task.get("index")
    index = int(index) if isinstance(index, str) and index.isdecimal() else index
    if type(index) is not int or not 0 <= index < len(workers):
        raise UserError(f"TF_CONFIG: task.index={index}: allowed are 0 to {len(workers) - 1}")
    return Cluster(tuple(workers), index)


def _member(values, name: str, kind: type, parent: str = ""):
    found = values.get(name) if isinstance(values, dict) else None
    if not isinstance(found, kind):
        raise UserError(f"TF_CONFIG: {parent}{name} is missing or not a {kind.__name__}; allowed is {_FORM}")
    return found
