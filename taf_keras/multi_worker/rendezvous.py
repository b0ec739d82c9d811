"""All workers find each other before TensorFlow connects them.

TensorFlow's own wait lasts an hour, names nobody, and cannot be interrupted from Python.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import time

from taf_keras.config import Config
from taf_keras.errors import UserError
from taf_keras.multi_worker.cluster import Cluster

CONNECT_SECONDS = 600  # schedulers start machines minutes apart
_RETRY_SECONDS = 0.5
_GREETING_SECONDS = 10  # for a message of a hundred bytes


def meet(cluster: Cluster, config: Config, seconds: float = CONNECT_SECONDS) -> None:
    """Returns in every worker once all of them have come, within `seconds`.

    The others announce themselves at the address of the chief, which answers when all are there; it is free
    again afterwards.

    Raises: UserError that names a worker that has not come, or was started with other flags.
    """
    deadline = time.monotonic() + seconds
    settings = _fingerprint(config)
    if cluster.is_chief:
        _gather(cluster, settings, deadline, seconds)
    else:
        _announce(cluster, settings, deadline, seconds)


def _fingerprint(config: Config) -> str:
    """Of all that must be the same on all workers; where the files lie need not."""
    values = config.to_dict()
    values["runtime"] = {"validations": config.runtime.validations}
    values["data"].pop("data_dir")
    values["model"].pop("backbone_weights")  # the chief, which gives all its own, may know what `auto` became
    if config.taf.rates_from:  # the chief may know measured ones of an earlier start
        values["taf"].pop("change_rates")
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _gather(cluster: Cluster, settings: str, deadline: float, seconds: float) -> None:
    port = int(cluster.workers[0].rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        server = socket.create_server(("", port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise UserError(f"TF_CONFIG: cannot listen at {cluster.workers[0]}: {error.strerror}") from None
    missing = dict(list(enumerate(cluster.workers))[1:])
    with contextlib.ExitStack() as stack:
        stack.enter_context(server)
        others, answer = [], "go"
        while missing and answer == "go":
            server.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                other, _ = server.accept()
            except TimeoutError:
                names = ", ".join(f"worker {index} ({address})" for index, address in missing.items())
                raise UserError(
                    f"{names}: did not come within {seconds:g} s; start train.py with the same flags on each"
                ) from None
            others.append(stack.enter_context(other))
            other.settimeout(_GREETING_SECONDS)
            with contextlib.suppress(OSError, ValueError, IndexError):  # what else there is in a network
                index, found = other.recv(200).decode().split()
                name = f"worker {index} ({cluster.workers[int(index)]})"
                missing.pop(int(index), None)
                if found != settings:
                    answer = f"{name} was started with other flags"
        for other in others:
            with contextlib.suppress(OSError):
                other.sendall(answer.encode())
                other.recv(1)  # they close first, so that the port is free at once
    if answer != "go":
        raise UserError(f"{answer} than the chief")


def _announce(cluster: Cluster, settings: str, deadline: float, seconds: float) -> None:
    host, _, port = cluster.workers[0].rpartition(":")
    chief = f"worker 0 ({cluster.workers[0]})"
    while (left := deadline - time.monotonic()) > 0:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((host.strip("[]"), int(port)), left) as server,
        ):
            server.sendall(f"{cluster.index} {settings}".encode())
            server.settimeout(max(0.001, deadline - time.monotonic()))
            answer = server.recv(200).decode()
            if answer == "go":
                return
            if answer:
                raise UserError(f"{answer} than the chief")
        time.sleep(_RETRY_SECONDS)
    raise UserError(
        f"{chief}: was not there, or still waited for others, after {seconds:g} s; start train.py with the "
        "same flags on each"
    )
