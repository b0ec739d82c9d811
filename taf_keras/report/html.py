"""The HTML of a report: text that is escaped unless it is marked as HTML, tables, pictures, small plots."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Sequence


class Markup(str):
    """Text that is HTML already. All other text is escaped where it enters the page."""

    __slots__ = ()


def escaped(value) -> Markup:
    """Any value as HTML: Markup as it is, everything else as text, quotes included."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value), quote=True))


def element(name: str, *content, **attributes) -> Markup:
    """`<name attributes>content</name>`; a trailing underscore of an attribute's name is dropped."""
    own = "".join(f' {key.rstrip("_")}="{escaped(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{own}>{''.join(map(escaped, content))}</{name}>")


def table(head: Sequence, rows: Iterable[Sequence], class_: str = "") -> Markup:
    """A table whose first column names its rows; wider than the page, it scrolls by itself."""
    header = element("tr", *(element("th", cell, scope="col") for cell in head))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in cells))
        for first, *cells in rows
    ]
    own = element("table", element("thead", header), element("tbody", *body), class_=class_)
    return element("div", own, class_="scroll", tabindex="0")


def folded(summary, *content) -> Markup:
    """Content that is shown on a click."""
    return element("details", element("summary", summary), *content)


def picture(data: bytes, kind: str, text: str, class_: str = "") -> Markup:
    """A picture within the page. `kind` is its type, `png` or `svg+xml`; `text` says what it shows."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return Markup(f'<img src="{source}" alt="{escaped(text)}" class="{escaped(class_)}">')


def figure(image: Markup, caption) -> Markup:
    return element("figure", image, element("figcaption", caption))


_WIDTH, _HEIGHT = 160, 22


def dots(values: Sequence[float], mean: float, low: float, high: float) -> Markup:
    """A dot for each value and a bar at their mean, on a scale from low to high."""
    marks = [
        f'<circle cx="{_place(value, low, high):.1f}" cy="{_HEIGHT / 2}" r="3.5" class="dot"/>'
        for value in values
        if not math.isnan(value)
    ]
    if not math.isnan(mean):
        x = _place(mean, low, high)
        marks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="3" y2="{_HEIGHT - 3}" class="mean"/>')
    return _plot(marks)


def interval(mean: float, half_width: float, limit: float) -> Markup:
    """A mean with its confidence interval, on a scale from −limit to limit with a line at 0."""
    zero = _place(0, -limit, limit)
    marks = [f'<line x1="{zero}" x2="{zero}" y1="0" y2="{_HEIGHT}" class="zero"/>']
    if not math.isnan(half_width):
        left, right = (_place(mean + side * half_width, -limit, limit) for side in (-1, 1))
        marks.append(f'<line x1="{left:.1f}" x2="{right:.1f}" y1="11" y2="11" class="interval"/>')
    if not math.isnan(mean):
        marks.append(f'<circle cx="{_place(mean, -limit, limit):.1f}" cy="11" r="4" class="point"/>')
    return _plot(marks)


def _place(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return 5 + (_WIDTH - 10) * min(1.0, max(0.0, share))


def _plot(marks: Sequence[str]) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" aria-hidden="true">'
        f"{''.join(marks)}</svg>"
    )


# Nothing may be loaded or run, whatever a name in a run's files tries.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

STYLE = """
:root { color-scheme: light dark; --text: #1c2128; --soft: #5b6470; --line: #d8dee4; --page: #fff;
  --box: #f6f8fa; --accent: #0072b2; --up: #11704f; --down: #b3470a; }
@media (prefers-color-scheme: dark) { :root { --text: #e3e8ee; --soft: #9aa5b1; --line: #343b44;
  --page: #14181d; --box: #1c2229; --accent: #58b4e8; --up: #4cc79b; --down: #f08d54; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 72rem; color: var(--text);
  background: var(--page); font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: break-word; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 .25rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h1 + h2, nav + h2 { margin-top: 1.25rem; }
h3 { font-size: 1.08rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0 .8rem; max-width: 48rem; }
.soft, figcaption, summary small { color: var(--soft); font-size: .9rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: 1rem 0; font-size: .95rem; }
a { color: var(--accent); }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .4rem .8rem .4rem 0; text-align: right; white-space: nowrap; vertical-align: middle;
  border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tr > :first-child { text-align: left; position: sticky; left: 0; background: var(--page); }
tbody th { font-weight: 600; }
table.text td, table.text thead th { text-align: left; white-space: normal; }
td small { color: var(--soft); font-size: .85em; }
.up, small.up { color: var(--up); font-weight: 600; }
.down, small.down { color: var(--down); font-weight: 600; }
table.results :is(th, td):nth-child(2) { min-width: 9.6rem; }
th .arm { white-space: nowrap; }
.swatch { display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin-right: .45em; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .92rem; }
svg { display: inline-block; vertical-align: middle; }
.dot { fill: var(--accent); fill-opacity: .45; } .mean { stroke: var(--text); stroke-width: 2; }
.zero { stroke: var(--soft); stroke-dasharray: 3 3; } .interval { stroke: var(--text); stroke-width: 2; }
.point { fill: var(--accent); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1rem; }
.wide { grid-template-columns: repeat(auto-fill, minmax(min(32rem, 100%), 1fr)); }
figure { margin: .75rem 0; } img { max-width: 100%; height: auto; display: block; }
.chart { width: 100%; } .photo { background: #fff; border-radius: 4px; }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem;
  overflow-x: auto; font-size: .85rem; line-height: 1.5; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
details { margin: .6rem 0; } summary { cursor: pointer; padding: .25rem 0; }
@media (max-width: 40rem) { th { white-space: normal; } td .bounds { display: block; }
  body { padding: 1rem 1rem 3rem; } table.results :is(th, td):nth-child(2) { min-width: 0; } }
@media print { body { max-width: none; } nav { display: none; } }
"""
