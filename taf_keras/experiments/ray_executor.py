"""Runs over a Ray cluster: each is a task, which starts train.py on the machine where Ray places it.

What all machines must have at the same paths is checked before the first run. Nothing here imports Ray, an
optional package, before it is asked for.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from taf_keras.errors import UserError, first_line
from taf_keras.experiments import ray_tasks
from taf_keras.experiments.execute import GRACE_SECONDS, Begin, open_log
from taf_keras.experiments.plan import Job

# Network file systems may show a new file to another machine a minute later.
_LATE_SECONDS = 90
_ANSWER_SECONDS = 300  # for a machine that is asked what it sees


@contextmanager
def on_ray(jobs: Sequence[Job], folder: Path, at_once: int, train: Sequence[str], _lock) -> Iterator[Begin]:
    """The executor of the Ray cluster that this machine belongs to; see execute.py.

    Raises: UserError where Ray or its cluster is missing, no machine has room for a run, or one that has
        does not see what a run needs.
    """
    ray = _connect()
    tasks = []
    try:
        machines = [machine for machine in ray.nodes() if machine["Alive"]]
        cpus, gpus = share([_cpus_and_gpus(machine) for machine in machines], at_once)
        chosen = [m for m in machines if _room(_cpus_and_gpus(m), cpus, bool(gpus))]
        _check_paths(ray, chosen, jobs, folder, train)
        print(f"ray     {len(chosen)} machines; a run has CPUs: {cpus}, GPUs: {gpus}", flush=True)
        # Ray itself repeats nothing: train.py would go on where its checkpoint is, unseen by the sweep.
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(ray_tasks.train)

        def begin(job: Job) -> Callable[[], int | str | None]:
            open_log(job).close()
            tasks.append(task.remote([*train, *job.arguments], str(job.log.absolute()), os.getcwd(), cpus))
            return _outcome_of(ray, tasks[-1], job)

        yield begin
    finally:
        with suppress(KeyboardInterrupt):  # the second Ctrl-C means now
            _cancel(ray, tasks)
        ray.shutdown()  # which ends the tasks that are left, and so their runs


def share(machines: Sequence[tuple[int, int]], at_once: int) -> tuple[int, int]:
    """The CPUs and GPUs of one run.

    It has one GPU where the cluster has any, and as many CPUs as leave room for `at_once` runs, or for as
    many as there can be.

    Args: (CPUs, GPUs) of each machine.
    Raises: UserError where no machine has room for a run.
    """
    on_gpu = any(gpus for _, gpus in machines)

    def rooms(cpus: int) -> int:
        return sum(_room(machine, cpus, on_gpu) for machine in machines)

    wanted = min(at_once, rooms(1))
    if not wanted:
        raise UserError(
            "--executor=ray: no machine of the cluster has a CPU for a run, and a GPU where any has"
        )
    most = max(cpus for cpus, _ in machines)
    return max(cpus for cpus in range(1, most + 1) if rooms(cpus) >= wanted), int(on_gpu)


def _room(machine: tuple[int, int], cpus: int, on_gpu: bool) -> int:
    """Runs for which a machine, as (CPUs, GPUs), has room."""
    return min(machine[0] // cpus, machine[1]) if on_gpu else machine[0] // cpus


def _cpus_and_gpus(machine: dict) -> tuple[int, int]:
    return tuple(int(machine["Resources"].get(name, 0)) for name in ("CPU", "GPU"))


def _connect():
    """The module `ray`, connected to the cluster."""
    try:
        import ray
    except ImportError:
        raise UserError(
            "--executor=ray: needs Ray on all machines: pip install 'ray>=2.46', or this package as '.[ray]'"
        ) from None
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            "--executor=ray: no cluster here: `ray start --head` on one machine, and `ray start --address=…` "
            f"on the others ({first_line(error)})"
        ) from None
    finally:
        if signal.getsignal(signal.SIGTERM) is not handler:  # Ray sets its own
            signal.signal(signal.SIGTERM, handler)
    return ray


def _check_paths(
    ray, machines: Sequence[dict], jobs: Sequence[Job], folder: Path, train: Sequence[str]
) -> None:
    """UserError where one of the machines does not see what a run needs."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Another folder of the same name does not have the marker.
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".marker-") as marker:
        paths = {f"--output_dir={folder}": marker.name}
        paths |= {word: word for word in train if os.path.isabs(word)}
        paths["the working directory"] = os.getcwd()
        data = {job.config.data.data_dir for job in jobs if job.config.data.dataset != "synthetic"}
        paths |= {f"--data_dir={place}": place for place in sorted(data)}
        absolute = {name: os.path.abspath(path) for name, path in paths.items()}
        asked = []
        for machine in machines:
            here = NodeAffinitySchedulingStrategy(machine["NodeID"], soft=False)
            task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=here)(ray_tasks.missing)
            name = f"{machine['NodeManagerHostname']} ({machine['NodeManagerAddress']})"
            asked.append((name, task.remote(absolute)))
        for name, task in asked:
            try:
                missing = ray.get(task, timeout=_ANSWER_SECONDS)
            except ray.exceptions.TaskUnschedulableError:
                print(f"ray     machine {name} is lost; the others go on", flush=True)
                continue
            except ray.exceptions.RayError as error:
                raise UserError(f"--executor=ray: machine {name}: {_in_words(error)}") from None
            if missing:
                raise UserError(
                    f"--executor=ray: machine {name} does not see {missing[0]}: all machines "
                    "need it, at the same path"
                )


def _outcome_of(ray, task, job: Job) -> Callable[[], int | str | None]:
    """The function that says what has come of a run, see execute.py."""
    deadline = None

    def outcome() -> int | str | None:
        nonlocal deadline
        if not ray.wait([task], timeout=0)[0]:
            return None
        try:
            code = ray.get(task)
        except ray.exceptions.RayError as error:
            return _in_words(error)
        deadline = deadline or time.monotonic() + _LATE_SECONDS
        late = code == 0 and not job.run.has_ended and time.monotonic() < deadline
        return None if late else code

    return outcome


def _in_words(error: Exception) -> str:
    """What has stopped a task: an error of its own, or else the loss of its machine."""
    own = getattr(error, "cause", None)
    return first_line(own) if own else f"its machine, or Ray there, is lost: {first_line(error)}"


def _cancel(ray, tasks: Sequence) -> None:
    """Ends the tasks that are left: a KeyboardInterrupt stops each, and with it its run."""
    running = ray.wait(tasks, num_returns=len(tasks), timeout=0)[1] if tasks else []
    for task in running:
        ray.cancel(task)
    if running:
        ray.wait(running, num_returns=len(running), timeout=GRACE_SECONDS + 5)
