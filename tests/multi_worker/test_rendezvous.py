"""Workers that find each other, as threads of one process; and what each is told where one does not come."""

import socket
import threading
import time
from dataclasses import replace

import pytest
from conftest import tiny_config

from taf_keras.errors import UserError
from taf_keras.local_cluster import free_addresses
from taf_keras.multi_worker.cluster import Cluster
from taf_keras.multi_worker.rendezvous import meet
from taf_keras.storage.run import Run


def meeting(configs: dict[int, object], workers: int, seconds: float) -> dict[int, str]:
    """What the workers {index: its configuration} of a cluster are told: "" where they meet."""
    addresses = tuple(free_addresses(workers))
    told = {}

    def worker(index, config):
        try:
            meet(Cluster(addresses, index), config, seconds)
            told[index] = ""
        except UserError as error:
            told[index] = str(error).replace(addresses[0], "HOST0").replace(addresses[-1], "HOSTN")

    threads = [threading.Thread(target=worker, args=item, daemon=True) for item in configs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return told


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_meet_and_leave_the_port_free(workers, tmp_path):
    """Each keeps its data, and what it needs to run, where it likes."""
    configs = {i: tiny_config(tmp_path / str(i), runtime={"reader_threads": i + 1}) for i in range(workers)}
    assert meeting(configs, workers, 20) == dict.fromkeys(range(workers), "")


def test_the_port_of_the_chief_is_free_behind_it(tmp_path):
    """Also when something else has knocked at it."""
    addresses = tuple(free_addresses(2))
    port = int(addresses[0].rpartition(":")[2])
    config = tiny_config(tmp_path)
    chief = threading.Thread(target=meet, args=(Cluster(addresses, 0), config, 20), daemon=True)
    chief.start()
    with _connection(port) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        meet(Cluster(addresses, 1), config, 20)
    chief.join(20)
    assert not chief.is_alive()
    with socket.create_server(("", port)):
        pass


def _connection(port: int) -> socket.socket:
    """To a server that is only about to listen."""
    for _ in range(100):
        try:
            return socket.create_connection(("localhost", port), 10)
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise TimeoutError


def test_a_worker_that_stays_away_is_named(tmp_path):
    config = tiny_config(tmp_path)
    told = meeting({0: config, 1: config}, 3, seconds=1)
    assert "worker 2 (HOSTN): did not come within 1 s" in told[0]
    assert "worker 0 (HOST0): was not there, or still waited for others, after 1 s" in told[1]
    assert "worker 0 (HOST0): was not there" in meeting({1: config}, 2, seconds=1)[1]


def test_other_flags_are_refused_on_all_workers(tmp_path):
    config = tiny_config(tmp_path)
    other = replace(config, training=replace(config.training, batch_size=8))
    told = meeting({0: config, 1: other}, 2, seconds=20)
    assert told == dict.fromkeys((0, 1), "worker 1 (HOSTN) was started with other flags than the chief")


def test_a_run_goes_on_though_the_chief_alone_knows_what_auto_became(tmp_path):
    """The folder with the run need be seen by the chief alone."""
    others = tiny_config(tmp_path / "others", model={"backbone_weights": "auto"})
    begun = replace(others, model=replace(others.model, backbone_weights="random"))
    run = Run(tmp_path / "run")
    run.claim(begun).close()
    told = meeting({0: run.as_begun(others), 1: Run(tmp_path / "none").as_begun(others)}, 2, seconds=20)
    assert told == {0: "", 1: ""}


def test_a_port_that_is_taken_is_named(tmp_path):
    (address,) = free_addresses(1)
    with (
        socket.create_server(("", int(address.rpartition(":")[2]))),
        pytest.raises(UserError, match=f"cannot listen at {address}: Address already in use"),
    ):
        meet(Cluster((address, "elsewhere:1"), 0), tiny_config(tmp_path), 5)
