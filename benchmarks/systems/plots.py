"""Line charts as SVG, without any package; readable on light and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 300, 210
"""Of the area of one chart, in pixels."""
_LEFT, _TOP, _BETWEEN, _BELOW = 44, 56, 62, 76
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-size:14px;font-weight:600}"
    ".g{stroke:#d0d7de}.l{fill:none;stroke-width:2}.a{stroke:#0969da}.b{stroke:#bc4c00}.fa{fill:#0969da}.fb{fill:#bc4c00}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.g{stroke:#30363d}.a{stroke:#58a6ff}.b{stroke:#ffa657}"
    ".fa{fill:#58a6ff}.fb{fill:#ffa657}}"
)


@dataclass(frozen=True)
class Line:
    """A named row of points."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One chart: what its x axis counts, on a logarithmic scale, and at most two lines; y begins at 0."""

    x_name: str
    lines: Sequence[Line]


def svg(title: str, panels: Sequence[Panel]) -> str:
    """The charts beside each other."""
    width = _LEFT + len(panels) * (WIDTH + _BETWEEN)
    height = _TOP + HEIGHT + _BELOW
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
    parts = [
        head,
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text class="t" x="12" y="24">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate({_LEFT + number * (WIDTH + _BETWEEN)},{_TOP})">')
        parts.extend(_panel(panel))
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> Iterator[str]:
    xs = sorted({x for line in panel.lines for x, _ in line.points})
    top = _ceiling(max(y for line in panel.lines for _, y in line.points))
    span = math.log(xs[-1] / xs[0]) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        return round(math.log(x / xs[0]) / span * WIDTH, 1), round(HEIGHT - y / top * HEIGHT, 1)

    for part in range(5):
        value = top * part / 4
        y = at(xs[0], value)[1]
        yield f'<line class="g" x1="0" x2="{WIDTH}" y1="{y}" y2="{y}"/>'
        yield f'<text x="-8" y="{y + 4}" text-anchor="end">{value:g}</text>'
    for x in xs:
        yield f'<text x="{at(x, 0)[0]}" y="{HEIGHT + 18}" text-anchor="middle">{x:,.0f}</text>'
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT + 36}" text-anchor="middle">{escape(panel.x_name)}</text>'
    for line, kind in zip(panel.lines, "ab", strict=False):
        places = [at(x, y) for x, y in line.points]
        yield f'<polyline class="l {kind}" points="{" ".join(f"{x},{y}" for x, y in places)}"/>'
        yield "".join(f'<circle class="f{kind}" cx="{x}" cy="{y}" r="3.5"/>' for x, y in places)
    if len(panel.lines) > 1:
        yield from _legend(panel.lines)


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    for number, (line, kind) in enumerate(zip(lines, "ab", strict=False)):
        x = number * 0.56 * WIDTH
        yield f'<circle class="f{kind}" cx="{x + 4}" cy="{HEIGHT + 54}" r="4"/>'
        yield f'<text x="{x + 13}" y="{HEIGHT + 58}">{escape(line.name)}</text>'


def _ceiling(value: float) -> float:
    """The next round number."""
    step = 10.0 ** math.floor(math.log10(value))
    return next(step * each for each in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10, 12) if step * each >= value * 1.02)
