"""What differs between Keras' backends: the card, a compiled training step, its memory, what it computes."""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from taf_keras.errors import require

PREFERRED = ("tensorflow", "jax", "torch")
MOST_KERNELS, LONGEST_NAME = 8, 60  # of a step, in a report


def choose() -> str:
    """The backend that KERAS_BACKEND names, which is set to the first one installed where it is not.

    To be called before Keras is imported. Raises: UserError where there is none.
    """
    require(bool(importlib.util.find_spec("keras")), "Keras is not installed: pip install keras")
    installed = [name for name in PREFERRED if importlib.util.find_spec(name)]
    require(bool(installed), f"no backend of Keras is installed; allowed are {', '.join(PREFERRED)}")
    name = os.environ.get("KERAS_BACKEND") or installed[0]
    require(name in installed, f"KERAS_BACKEND={name}: installed are {', '.join(installed)}")
    os.environ["KERAS_BACKEND"] = name
    return name


class Backend:
    """One of Keras' backends.

    Attributes:
        name: as KERAS_BACKEND has it.
        version: with the name.
        card: what the GPU is called; None where this backend sees none.
    """

    name: str

    def __init__(self):
        self.version = f"{self.name} {version(self.name)}"
        self.card: str | None = None

    def in_use(self) -> int:
        """Bytes that lie on the card."""
        return 0

    def compile(self, model, batch) -> Step:
        """A step of a compiled Keras model on `batch`, (x, y, None) on the device, behind its first call."""
        raise NotImplementedError


@dataclass(frozen=True)
class Step:
    """A compiled training step on a batch that lies on the device.

    Attributes:
        take: takes so many steps, waits until the device has done them, and returns the last loss.
        peak: the most bytes on the card in a step, those of weights and optimizer among them, as a function
            of the bytes that lay there before; None where the backend does not tell.
        counts: functions that return {what: number} of one step, as far as the backend tells; see
            gpu_report.Result. The later ones take precedence.
    """

    take: Callable[[int], float]
    peak: Callable[[int], int | None]
    counts: Sequence[Callable[[], dict]] = ()


class TensorFlow(Backend):
    name = "tensorflow"

    def __init__(self):
        super().__init__()
        import tensorflow as tf

        from taf_keras.devices import prepare

        self.memory = tf.config.experimental
        if gpus := prepare():
            self.card = self.memory.get_device_details(gpus[0]).get("device_name", "GPU")

    def in_use(self) -> int:
        return self.memory.get_memory_info("GPU:0")["current"] if self.card else 0

    def compile(self, model, batch) -> Step:
        model.train_on_batch(*batch)  # it makes and compiles fit's function

        def take(count: int) -> float:
            for _ in range(count):
                logs = model.train_function(iter([batch]))
            return float(logs["loss"])  # waits; one compiled program ends as a whole

        def peak(before: int) -> int | None:
            if self.card is None:
                return None
            self.memory.reset_memory_stats("GPU:0")
            take(1)
            return self.memory.get_memory_info("GPU:0")["peak"] - before

        return Step(take, peak)


class Jax(Backend):
    name = "jax"

    def __init__(self):
        super().__init__()
        import jax

        self.jax = jax
        if jax.default_backend() != "cpu":
            self.card = jax.devices()[0].device_kind

    def compile(self, model, batch) -> Step:
        model.optimizer.build(model.trainable_variables)
        lists = (model.trainable_variables, model.non_trainable_variables)
        lists += (model.optimizer.variables, model.metrics_variables)
        state = tuple([variable.value for variable in variables] for variables in lists)
        # Keras compiles its step in the same way; by hand, the program can be asked what it is.
        lowered = self.jax.jit(model.train_step, donate_argnums=0).lower(state, batch)
        program = lowered.compile()

        def take(count: int) -> float:
            nonlocal state
            for _ in range(count):
                logs, state = program(state, batch)
            self.jax.block_until_ready(state)
            return float(logs["loss"])

        take(1)

        def peak(_before: int) -> int:
            plan = program.memory_analysis()  # the device's own peak is of the whole process
            held = plan.argument_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes
            return held + plan.temp_size_in_bytes

        def costs() -> dict[str, float]:
            # FLOPs before it is optimised: on a GPU convolutions become calls of a library, which count 0.
            return {"gflop": _costs(lowered)["flops"] / 1e9, "gbyte": _costs(program)["bytes accessed"] / 1e9}

        def calls() -> dict[str, int]:
            return {"kernels": len(re.findall(r" = .*? (?:fusion|custom-call)\(", program.as_text()))}

        profiled = [lambda: summed_up(self._kernels(take))] if self.card else []
        return Step(take, peak, [costs, calls, *profiled])

    def _kernels(self, take) -> list[tuple[str, float]]:
        with tempfile.TemporaryDirectory() as folder:
            with self.jax.profiler.trace(folder):
                take(1)
            (file,) = Path(folder).rglob("*.xplane.pb")
            planes = self.jax.profiler.ProfileData.from_file(str(file)).planes
            lines = [line for plane in planes if plane.name.startswith("/device:GPU") for line in plane.lines]
            streams = [line for line in lines if line.name.startswith("Stream")]
            return [(event.name, event.duration_ns / 1e6) for line in streams for event in line.events]


def _costs(stage) -> dict[str, float]:
    found = stage.cost_analysis()
    return found[0] if isinstance(found, list) else found  # older JAX: one for each program


class Torch(Backend):
    name = "torch"

    def __init__(self):
        super().__init__()
        import torch

        self.torch = torch
        if torch.cuda.is_available():
            self.card = torch.cuda.get_device_name()

    def in_use(self) -> int:
        return self.torch.cuda.memory_allocated() if self.card else 0

    def wait(self) -> None:
        if self.card:
            self.torch.cuda.synchronize()

    def compile(self, model, batch) -> Step:
        model.train_on_batch(*batch)
        self.wait()

        def take(count: int) -> float:
            for _ in range(count):
                logs = model.train_function([batch])
            self.wait()
            return float(logs["loss"])

        def peak(before: int) -> int | None:
            if self.card is None:
                return None
            self.torch.cuda.reset_peak_memory_stats()
            take(1)
            return self.torch.cuda.max_memory_allocated() - before

        profiled = [lambda: summed_up(self._kernels(take))] if self.card else []
        return Step(take, peak, [lambda: _flops(take), *profiled])

    def _kernels(self, take) -> list[tuple[str, float]]:
        from torch.autograd import DeviceType
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CUDA]) as profiled:
            take(1)
        events = [event for event in profiled.events() if event.device_type == DeviceType.CUDA]
        return [(event.name, event.time_range.elapsed_us() / 1e3) for event in events]


def _flops(take) -> dict[str, float]:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        take(1)
    return {"gflop": counter.get_total_flops() / 1e9}


def summed_up(kernels: list[tuple[str, float]]) -> dict:
    """The counts that (name, ms) of a step's kernels tell, whose names are taken without their numbers.

    Empty where the profiler saw none.
    """
    if not kernels:
        return {}
    together = Counter()
    for name, ms in kernels:
        together[re.sub(r"[._]*\d+", "", name)[:LONGEST_NAME]] += ms
    most = dict(together.most_common(MOST_KERNELS))
    return {"kernels": len(kernels), "busy_ms": sum(ms for _, ms in kernels), "kernels_ms": most}


BACKENDS = {backend.name: backend for backend in (TensorFlow, Jax, Torch)}
