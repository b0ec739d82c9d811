"""A data report as text for people, and as CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from taf_keras.inspection.check import size_text
from taf_keras.inspection.leakage import KEY, NEAR, PARTNER, Leak

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
        lines.writerows((split.name, *row) for row in _csv_rows(split, report.data.temporal_context))
    for split, sentence in report.warnings:
        lines.writerow((split, "warning", "", "", sentence))
    for leak in report.leaks:
        lines.writerow((leak.of, "leak", leak.key, leak.offset, f"{leak.how}: {leak}"))
    lines.writerow(("", "verdict", "", 2 if report.refusal else 0, report.verdict))
    return file.getvalue()


def _csv_rows(split: SplitReport, temporal_context: int) -> Iterator[tuple]:
    for item, value in _counts(split).items():
        yield "count", item.replace(" ", "_"), value, ""
    for size, frames in split.sizes.items():
        yield "size", size_text(size), frames, ""
    for count, clips in split.partners(temporal_context).items():
        yield "partners", count, clips, ""
    offsets = split.offsets(temporal_context)
    for n in range(-temporal_context, temporal_context + 1):
        yield "offset", n, offsets[n], ""
    if split.clips:
        shares, frames = _class_figures(split)
        for name, share, count in zip(split.split.classes.names, shares, frames, strict=False):
            yield "class_share", name, f"{share:.6f}", ""
            yield "class_frames", name, count, ""
        yield "void_share", "", f"{shares[-1]:.6f}", ""
        yield "void_frames", "", frames[-1], ""
    for error in split.bad:
        yield "bad_file", error.file, "", error.reason
    for frame in split.blank:
        yield "blank_frame", frame.file, "", frame.detail
    if split.error:
        yield "error", "", "", split.error


# --- Figures of splits side by side ---


def _counts(split: SplitReport) -> dict[str, int]:
    return {
        "clips": len(split.clips),
        "clips left out": split.found - len(split.clips),
        "frames": split.frames,
        "labelled frames": split.labelled_frames,
        "bad files": len(split.bad),
    }


def _class_figures(split: SplitReport) -> tuple[np.ndarray, np.ndarray]:
    """Share of each class among the labelled pixels, then of void among all; key frames with each."""
    pixels = split.pixels  # (key frames, classes + 1)
    sums = pixels.sum(axis=0)
    shares = sums / np.append(np.full(len(sums) - 1, sums[:-1].sum()), sums.sum())
    return shares, (pixels > 0).sum(axis=0)


def _overview(report: DataReport) -> list[str]:
    splits = report.splits
    rows = [["", *(split.name for split in splits)]]
    counts = [_counts(split) for split in splits]
    rows += [[name, *(f"{count[name]:,}" for count in counts)] for name in counts[0]]
    for size in dict.fromkeys(size for split in splits for size in split.sizes):
        rows.append([f"frames of {size_text(size)} px", *(f"{s.sizes[size]:,}" for s in splits)])
    return _aligned(rows)


def _partners(report: DataReport) -> list[str]:
    """How many clips have how many partners: ranges that double, with none and all there can be apart."""
    context = report.data.temporal_context
    if not context:
        return []
    found = [split.partners(context) for split in report.splits]
    rows = [[f"clips by partners within ±{context} frames", *(split.name for split in report.splits)]]
    most = 2 * context
    ends = sorted({0, most - 1, most} | {2**k for k in range(most.bit_length()) if 2**k < most})
    for before, last in pairwise([-1, *ends]):
        numbers = range(before + 1, last + 1)
        clips = [sum(partners[n] for n in numbers) for partners in found]
        if any(clips):
            name = f"{numbers[0]}–{last}" if len(numbers) > 1 else f"{last}"
            rows.append([f"  {name}", *(f"{count:,}" for count in clips)])
    return _aligned(rows) if len(rows) > 1 else []


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
            clips = split.offsets(context)
            counts = {sign: [clips[sign * n] for n in range(1, context + 1)] for sign in (-1, 1)}
            before, after = (_bars(counts[sign], step, len(split.clips)) for sign in (-1, 1))
            there = [count for n, count in clips.items() if n]
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
    figures = [_class_figures(split) for split in splits]
    header = [f"{split.name} {column}" for split in splits for column in ("pixels", "frames")]
    rows = [["class", *header]]
    for i, name in enumerate([*splits[0].split.classes.names, "void, of all"]):
        cells = [(f"{shares[i]:.2%}" if frames[i] else "–", f"{frames[i]:,}") for shares, frames in figures]
        rows.append([name, *(cell for pair in cells for cell in pair)])
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width: the first begins at the left, the others end at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


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
        PARTNER: "may be drawn as partners in {}",
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
