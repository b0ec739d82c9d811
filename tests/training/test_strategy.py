"""Which devices a run takes; GPUs are made up."""

import json

import pytest
import tensorflow as tf

from taf_keras.config import Config, RuntimeConfig
from taf_keras.errors import UserError
from taf_keras.multi_worker.cluster import read_cluster
from taf_keras.training import strategy


def devices_of(monkeypatch, gpus: int, workers: int = 0, **runtime):
    """The devices of the strategy that is built on a machine with so many GPUs, None for a single one."""
    taken, environment = [], {}
    monkeypatch.setattr(strategy, "prepare", lambda: ["gpu"] * gpus)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda devices: taken.append(devices))
    if workers:
        hosts = [f"node{i}:2222" for i in range(workers)]
        cluster = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": 0}}
        environment = {"TF_CONFIG": json.dumps(cluster)}
    config = Config(runtime=RuntimeConfig(**runtime))
    strategy.build_strategy(config, read_cluster(config, environment))
    return taken[0] if taken else None


@pytest.mark.parametrize(
    ("name", "workers"), [("auto", 0), ("mirrored", 0), ("auto", 1), ("multi_worker", 1)]
)
def test_one_machine_uses_all_of_its_gpus(monkeypatch, name, workers):
    """Also as the only worker of TF_CONFIG."""
    four = ["/gpu:0", "/gpu:1", "/gpu:2", "/gpu:3"]
    assert devices_of(monkeypatch, 4, workers, strategy=name) == four
    assert devices_of(monkeypatch, 4, workers, strategy=name, replicas=2) == four[:2]


@pytest.mark.parametrize(
    ("gpus", "workers", "name"), [(4, 0, "single"), (0, 0, "auto"), (0, 1, "multi_worker")]
)
def test_a_single_device_has_no_replicas(monkeypatch, gpus, workers, name):
    assert devices_of(monkeypatch, gpus, workers, strategy=name) is None
    with pytest.raises(UserError, match=r"^--replicas=2: more than one needs several GPUs, or --strategy="):
        devices_of(monkeypatch, gpus, workers, strategy=name, replicas=2)
