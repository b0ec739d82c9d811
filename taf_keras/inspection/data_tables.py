"""A data report as text for people, and as CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from taf_keras.inspection.leakage import KEY, NEAR, PARTNER, Leak
from taf_keras.tables import aligned

if TYPE_CHECKING:
    from taf_keras.inspection.data_report import DataReport, SplitReport

_COLUMNS = ("split", "kind", "item", "value", "detail")
_BARS = "▁▂▃▄▅▆▇█"
_SIGNS = 30  # of a histogram, on either side of its middle
_SHOWN = 5  # leaks of a kind; the CSV has all


def text(report: DataReport) -> str:
    """The whole report; its last line says whether training would start."""
    data = report.data
    how = "decoded" if report.thorough else "looked at (its first and last bytes)"
    place = f"{data.dataset} in {data.data_dir}" if data.data_dir else data.dataset
    settings = f"--method={report.method} --temporal_context={data.temporal_context}"
    blocks = [
        [f"{place}: every file {how} that training with {settings} reads"],
        _overview(report),
        [f"{split.name}: {split.split.note}" for split in report.splits if split.split and split.split.note],
        _partners(report),
        _offsets(report),
        _classes(report),
        [f"{split.name} cannot be used: {split.error}" for split in report.splits if split.error],
        _bad_files(report),
        _leakage(report),
        [f"warning: {sentence}" for _, sentence in report.warnings],
        [report.verdict],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def csv_text(report: DataReport) -> str:
    """The whole report as CSV; `taf_keras.check` says what the lines mean."""
    file = io.StringIO(newline="")
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(_COLUMNS)
    for split in report.splits:
        lines.writerows((split.name, *row) for row in _csv_rows(split))
    for split, sentence in report.warnings:
        lines.writerow((split, "warning", "", "", sentence))
    for leak in report.leaks:
        lines.writerow((leak.of, "leak", leak.key, leak.offset, f"{leak.how}: {leak}"))
    lines.writerow(("", "verdict", "", 2 if report.refusal else 0, report.verdict))
    return file.getvalue()


def _csv_rows(split: SplitReport) -> Iterator[tuple]:
    for kind, item, value in split.figures:
        yield kind, item, f"{value:.6f}" if kind.endswith("_share") else value, ""
    if split.split and split.split.note:
        yield "note", "", "", split.split.note
    for error in split.bad:
        yield "bad_file", error.file, "", error.reason
    for frame in split.blank:
        yield "blank_frame", frame.file, "", frame.detail
    if split.error:
        yield "error", "", "", split.error


# --- Figures of splits side by side ---


def _overview(report: DataReport) -> list[str]:
    rows = [["", *(split.name for split in report.splits)]]
    for kind, name in (("count", "{}"), ("size", "frames of {} px")):
        found = [split.values(kind) for split in report.splits]
        for item in dict.fromkeys(item for values in found for item in values):
            counts = (f"{values.get(item, 0):,}" for values in found)
            rows.append([name.format(item.replace("_", " ")), *counts])
    return aligned(rows)


def _partners(report: DataReport) -> list[str]:
    """How many clips have how many partners: ranges that double, with none and all there can be apart."""
    context = report.data.temporal_context
    if not context:
        return []
    found = [split.values("partners") for split in report.splits]
    rows = [[f"clips by partners within ±{context} frames", *(split.name for split in report.splits)]]
    most = 2 * context
    ends = sorted({0, most - 1, most} | {2**k for k in range(most.bit_length()) if 2**k < most})
    for before, last in pairwise([-1, *ends]):
        numbers = range(before + 1, last + 1)
        clips = [sum(partners.get(n, 0) for n in numbers) for partners in found]
        if any(clips):
            name = f"{numbers[0]}–{last}" if len(numbers) > 1 else f"{last}"
            rows.append([f"  {name}", *(f"{count:,}" for count in clips)])
    return aligned(rows) if len(rows) > 1 else []


def _offsets(report: DataReport) -> list[str]:
    """One line per split: a bar for each offset, or for some next to each other."""
    context = report.data.temporal_context
    if not context:
        return []
    step = -(-context // _SIGNS)
    width = max(len(split.name) for split in report.splits)
    note = f" (a bar is the mean over {step} offsets)" if step > 1 else ""
    lines = [f"share of clips that have a frame at offset n = −{context} … +{context}{note}"]
    for split in report.splits:
        if split.clips:
            clips = split.values("offset")
            counts = {sign: [clips[sign * n] for n in range(1, context + 1)] for sign in (-1, 1)}
            before, after = (_bars(counts[sign], step, len(split.clips)) for sign in (-1, 1))
            there = [count for n, count in clips.items() if n and count]
            least, most = min(there, default=0), max(there, default=0)
            span = f"in {least:,} clips each" if least == most else f"in {least:,}–{most:,} clips each"
            lines.append(f"  {split.name:<{width}}  {before[::-1]}│{after}  {span}")
    return lines


def _bars(clips: Sequence[int], step: int, total: int) -> str:
    means = [np.mean(clips[i : i + step]) for i in range(0, len(clips), step)]
    return "".join(_BARS[int((len(_BARS) - 1) * mean / total)] if mean else "·" for mean in means)


def _classes(report: DataReport) -> list[str]:
    splits = [split for split in report.splits if split.clips]
    if not splits:
        return []
    rows = [["class", *(f"{split.name} {column}" for split in splits for column in ("pixels", "frames"))]]
    places = [("class", name, name) for name in splits[0].split.classes.names]
    for kind, item, name in [*places, ("void", "", "void, of all")]:
        row = [name]
        for split in splits:
            share, frames = (split.values(f"{kind}_{what}")[item] for what in ("share", "frames"))
            row += [f"{share:.2%}" if frames else "–", f"{frames:,}"]
        rows.append(row)
    return aligned(rows)


# --- What is wrong ---


def _bad_files(report: DataReport) -> list[str]:
    bad = [(split.name, error) for split in report.splits for error in split.bad]
    if not bad:
        return ["bad files: none"]
    fate = "left out" if report.data.on_bad_file == "skip" else "each stops the training"
    return [f"bad files: {len(bad):,}, {fate}", *(f"  {name}  {error}" for name, error in bad)]


def _leakage(report: DataReport) -> list[str]:
    if len(report.splits) < 2:
        return []
    if not report.leaks:
        return ["leakage: none"]
    keys = {split.name: len(split.clips) for split in report.splits}
    meaning = {
        KEY: "are key frames in {} as well",
        PARTNER: "may be sampled as partners in {}",
        NEAR: f"lie within ±{report.data.temporal_context} frames of a key frame in {{}}",
    }
    groups: dict[tuple[str, str, str], list[Leak]] = {}
    for leak in sorted(report.leaks, key=lambda leak: list(meaning).index(leak.how)):
        groups.setdefault((leak.into, leak.of, leak.how), []).append(leak)
    lines = ["leakage"]
    for (into, of, how), leaks in groups.items():
        lines.append(f"  {len(leaks):,} of {keys[of]:,} key frames in {of} {meaning[how].format(into)}")
        lines += [f"    {leak}" for leak in leaks[:_SHOWN]]
        if len(leaks) > _SHOWN:
            lines.append(f"    and {len(leaks) - _SHOWN:,} more (--csv lists all)")
    return lines
