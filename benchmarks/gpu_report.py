"""What benchmarks/gpu.py has measured so far, as tables and as JSON."""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

from taf_keras.files import write_bytes, write_json
from taf_keras.tables import markdown

NOTE = (
    "Rows are the library's step: `taf_keras.TAF` as Keras compiles it, on random frames that lie on the "
    "device already. It is not train.py's step, and nothing is read. "
    "A ratio is of one round, in which plain and TAF take turns."
)
# Column -> key in `counts`; of one step.
COUNTS = {"GFLOP": "gflop", "GB": "gbyte", "kernels": "kernels", "ms busy": "busy_ms"}
COUNTS_NOTE = (
    "What a step does, and (×) how much more that is than in the plain one. GB are what fused operations "
    "read and write; calls of a library, as convolutions are on a GPU, are not among them. A step that is "
    "busy for much less than it takes waits for kernels to be launched."
)


@dataclass
class Result:
    """One row: a step of a network at a precision.

    Attributes:
        images: of a step, partners included.
        state: `measured`, `not reached`, or `failed: …`.
        step_s, ratios: seconds of a step and its ratio to the plain one, one of each round.
        compile_s: until the first step had ended; the network was built before.
        peak_bytes: of the card in a step, with weights and the optimizer's state.
        counts: {what: number} of a step, as far as the backend tells; and under `kernels_ms` the kernels that
            take longest, {name: ms of all of that name}.
    """

    model: str
    dtype: str
    step: str
    images: int
    state: str = "not reached"
    step_s: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    compile_s: float | None = None
    peak_bytes: int | None = None
    counts: dict = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, str, str]:
        return self.model, self.dtype, self.step

    @property
    def label(self) -> str:
        return ", ".join(self.names)

    @property
    def summary(self) -> str:
        """'61.2 ms, 1.24 of plain'."""
        text = f"{1e3 * statistics.median(self.step_s):.1f} ms"
        return text + (f", {statistics.median(self.ratios):.2f} of plain" if self.ratios else "")

    def to_json(self) -> dict:
        """Numbers that there are not are null."""
        return {
            **dict(zip(("model", "dtype", "step"), self.names, strict=True)),
            "state": self.state,
            "images_a_step": self.images,
            **_spread("ms", [1e3 * seconds for seconds in self.step_s]),
            **_spread("ratio", self.ratios),
            "images_per_second": self.images / statistics.median(self.step_s) if self.step_s else None,
            "peak_gb": None if self.peak_bytes is None else self.peak_bytes / 1e9,
            "compile_s": self.compile_s,
            **{key: self.counts.get(key) for key in (*COUNTS.values(), "kernels_ms")},
        }


def _spread(name: str, values: list[float]) -> dict[str, float | None]:
    """{name: median, name_low: least, name_high: largest}."""
    functions = {"": statistics.median, "_low": min, "_high": max}
    return {name + end: function(values) if values else None for end, function in functions.items()}


class Report:
    """The rows in their order, and what they were measured with.

    Args:
        output: the JSON's path, beside which the table lies; None writes nothing.
    Attributes:
        heading: {what: text}, what holds for all rows.
    """

    def __init__(self, output: Path | None, rows: list[Result]):
        self.output, self.rows, self.heading = output, rows, {}
        self.began = time.monotonic()
        self._lock = threading.Lock()

    def write(self) -> None:
        """Both files, complete or as they were."""
        if self.output is None:
            return
        with self._lock:  # the limit may end the command meanwhile
            write_json(self.output, self.to_json())
            write_bytes(self.output.with_suffix(".md"), self.text().encode())

    def to_json(self) -> dict:
        return {**self._heading(), "note": NOTE, "rows": [row.to_json() for row in self.rows]}

    def _heading(self) -> dict:
        seconds = round(time.monotonic() - self.began, 1)
        return {"date": str(date.today()), **self.heading, "keras": version("keras"), "seconds": seconds}

    @property
    def exit_code(self) -> int:
        """1 where a row failed or none was measured."""
        states = {row.state for row in self.rows}
        return int("measured" not in states or any(state.startswith("failed") for state in states))

    def text(self) -> str:
        """Heading, tables and note in Markdown."""
        heading = ", ".join(f"{name} {value}" for name, value in self._heading().items() if value is not None)
        parts = [heading, self._times(), NOTE]
        if work := self._work():
            parts += [work, COUNTS_NOTE, *self._kernels()]
        return "\n\n".join(parts) + "\n"

    def _times(self) -> str:
        head = ["model", "dtype", "step", "ms", "low–high", "ratio to plain", "low–high"]
        return markdown([*head, "images/s", "peak GB", "compile s"], map(_times_of, self.rows))

    def _work(self) -> str:
        """What a step does, with its ratio to the plain one: a time follows the figure that it keeps to."""
        columns = {name: key for name, key in COUNTS.items() if any(key in row.counts for row in self.rows)}
        if not columns:
            return ""
        plain = {row.names[:2]: row for row in self.rows if row.step == "plain"}
        rows = []
        for row in self.rows:
            if row.counts:
                counted, of_plain = row.counts, plain[row.names[:2]].counts
                cells = [_of_plain(counted.get(key), of_plain.get(key)) for key in columns.values()]
                time_ratio = f"{statistics.median(row.ratios):.2f}" if row.ratios else ""
                rows.append((*row.names, time_ratio, *cells))
        return markdown(("model", "dtype", "step", "ratio of times", *columns), rows)

    def _kernels(self) -> list[str]:
        lines = []
        for row in self.rows:
            if kernels := row.counts.get("kernels_ms"):
                text = ", ".join(f"{name} {ms:.2f}" for name, ms in kernels.items())
                lines.append(f"- {row.label}: {text}")
        return ["ms of a step in the kernels that take most of it:", "\n".join(lines)] if lines else []


def _times_of(row: Result) -> tuple[str, ...]:
    if not row.step_s:
        return (*row.names, row.state, *[""] * 6)
    figures = row.to_json()

    def number(key: str, digits: str) -> str:
        return "" if figures[key] is None else format(figures[key], digits)

    def spread(key: str, digits: str) -> tuple[str, str]:
        low, high = number(f"{key}_low", digits), number(f"{key}_high", digits)
        return number(key, digits), f"{low}–{high}" if low else ""

    return (
        *row.names,
        *spread("ms", ".1f"),
        *spread("ratio", ".2f"),
        number("images_per_second", ".0f"),
        number("peak_gb", ".2f"),
        number("compile_s", ".1f"),
    )


def _of_plain(value: float | None, plain: float | None) -> str:
    """'62.1 (1.40×)'."""
    if value is None:
        return ""
    return f"{value:.4g}" + (f" ({value / plain:.2f}×)" if plain else "")
