"""What TF_CONFIG may say, and the one line for everything else, before TensorFlow is imported."""

import json

import keras
import numpy as np
import pytest
from conftest import tiny_config

from taf_keras.errors import UserError
from taf_keras.evaluation.confusion import ConfusionMatrix
from taf_keras.multi_worker import connection
from taf_keras.multi_worker.cluster import Cluster, read_cluster
from taf_keras.taf.moving_average import MovingAverage
from taf_keras.taf.objectives import KeyFrames
from taf_keras.taf.trainer import TAFTrainer
from taf_keras.training.run import train

WORKERS = ["node0:2222", "node1:2222"]


def tf_config(workers=WORKERS, **task) -> str:
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": 0} | task})


def read(text: str | None, folder, strategy="multi_worker", batch_size=4) -> Cluster:
    config = tiny_config(folder, runtime={"strategy": strategy}, training={"batch_size": batch_size})
    return read_cluster(config, {} if text is None else {"TF_CONFIG": text})


def test_a_cluster_is_read(tmp_path):
    cluster = read(tf_config(index=1), tmp_path)
    assert cluster == Cluster(("node0:2222", "node1:2222"), 1)
    assert (cluster.is_distributed, cluster.is_chief) == (True, False)
    assert read(tf_config(), tmp_path).is_chief
    assert read(tf_config(index="1"), tmp_path).index == 1, "shell scripts write numbers as text"
    assert read(tf_config(), tmp_path, strategy="auto").is_distributed
    others = {"environment": "cloud", "rpc_layer": "grpc"}
    assert read(json.dumps(json.loads(tf_config()) | others), tmp_path).is_distributed


def test_without_a_cluster_there_is_one_worker(tmp_path):
    for strategy in ("auto", "single", "mirrored"):
        cluster = read(None, tmp_path, strategy)
        assert (cluster.is_distributed, cluster.is_chief) == (False, True)
    assert not read(tf_config(WORKERS[:1]), tmp_path).is_distributed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "--strategy=multi_worker: TF_CONFIG is not set; allowed is {"),
        ("{cluster", "TF_CONFIG: not JSON"),
        ("[]", "TF_CONFIG: cluster is missing"),
        ("{}", "TF_CONFIG: cluster is missing"),
        ('{"cluster": {}}', "must have one list, worker, of which the first is the chief, not none"),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}}', "not chief, worker"),
        (tf_config("node0:2222"), "TF_CONFIG: cluster.worker is missing or not a list"),
        (tf_config([]), "TF_CONFIG: cluster.worker=[]: must name one worker or more"),
        (tf_config(["node0:2222"] * 2), "each once"),
        (tf_config(["node0:2222", "node1"]), "TF_CONFIG: worker 'node1': must be HOST:PORT"),
        (tf_config(["node0:2222", "node1:70000"]), "TF_CONFIG: worker 'node1:70000': must be HOST:PORT"),
        (tf_config(["node0:2222", 1]), "TF_CONFIG: worker 1: must be HOST:PORT"),
        (json.dumps({"cluster": {"worker": WORKERS}}), "TF_CONFIG: task is missing"),
        (tf_config(type="ps"), "TF_CONFIG: task.type=ps: allowed is worker"),
        (tf_config(index=2), "TF_CONFIG: task.index=2: allowed are 0 to 1"),
        (tf_config(index=-1), "TF_CONFIG: task.index=-1: allowed are 0 to 1"),
        (tf_config(index=None), "TF_CONFIG: task.index=None: allowed are 0 to 1"),
        (tf_config(index=True), "TF_CONFIG: task.index=True: allowed are 0 to 1"),
    ],
)
def test_another_tf_config_is_refused_in_one_line(text, message, tmp_path):
    with pytest.raises(UserError) as caught:
        read(text, tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("strategy", ["single", "mirrored"])
def test_a_cluster_and_a_strategy_of_one_machine_contradict_each_other(strategy, tmp_path):
    with pytest.raises(UserError, match=f"--strategy={strategy}: TF_CONFIG describes a cluster"):
        read(tf_config(), tmp_path, strategy)


def test_the_workers_share_a_batch_evenly(tmp_path):
    three = tf_config([*WORKERS, "node2:2222"])
    assert read(three, tmp_path, batch_size=12).is_distributed
    with pytest.raises(UserError, match=r"--batch_size=8: 4 key frames a step .* evenly by 3 workers"):
        read(three, tmp_path, batch_size=8)


def test_training_refuses_before_it_writes_or_connects(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(index=2))
    with pytest.raises(UserError, match=r"task\.index=2: allowed are 0 to 1"):
        train(tiny_config(tmp_path))
    assert not (tmp_path / "run").exists()


def test_all_workers_go_on_with_the_average_of_the_first(monkeypatch):
    """It is what labels the partners of `mean_teacher`."""
    image = keras.Input((4, 4, 3))
    network, average = (keras.Model(image, keras.layers.Conv2D(2, 1)(image)) for _ in range(2))
    trainer = TAFTrainer(
        KeyFrames(network), ConfusionMatrix(("a", "b")), moving_average=MovingAverage(network, average, 0.99)
    )
    trainer.compile(keras.optimizers.SGD(0.1))
    trainer.optimizer.build(network.trainable_variables)
    monkeypatch.setattr(connection, "from_chief", lambda _, values: [value + 1 for value in values])
    before = [np.array(variable) for variable in average.variables]
    assert connection.share_state(Cluster(("a:1", "b:2"), 1), None, trainer, 6) == 7
    for variable, value in zip(average.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value + 1)
