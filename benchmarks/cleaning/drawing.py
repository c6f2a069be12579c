"""Two panels, one above the other, as SVG: what came in, and what the stage made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamflow.core.batch import Mask, Values

WIDTH, HEIGHT, EDGE, LEFT = 720, 110, 8, 90
GREY, RED, BLUE = "#7b8794", "#d1495b", "#1f6f8b"


@dataclass(frozen=True, eq=False)
class Panel:
    """Values over x, what is wrong or filled in among them, and bars behind.

    Parameters
    ----------
    marked
        Drawn as dots: bool[n].
    bars
        Stretches of x.
    dots
        No line between the values.
    """

    name: str
    x: Values
    y: Values
    marked: Mask
    colour: str = RED
    bars: Sequence[tuple[float, float]] = ()
    dots: bool = False


def svg(above: Panel, below: Panel) -> str:
    """The picture; both panels have the scales of all that is finite."""
    panels = (above, below)
    x = np.concatenate([panel.x for panel in panels])
    y = np.concatenate([panel.y for panel in panels])
    box = (x.min(), x.max(), y[np.isfinite(y)].min(), y[np.isfinite(y)].max())
    parts = [_panel(panel, box, HEIGHT * number) for number, panel in enumerate(panels)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {2 * HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="#444">'
        f'<rect width="{WIDTH}" height="{2 * HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _panel(panel: Panel, box: tuple[float, float, float, float], top: int) -> str:
    left, right, low, high = box
    inner, tall = WIDTH - LEFT - EDGE, HEIGHT - 2 * EDGE

    def across(value: float) -> float:
        return round(LEFT + EDGE + (value - left) / (right - left) * (inner - 2 * EDGE), 1)

    def up(value: float) -> float:
        return round(top + HEIGHT - 2 * EDGE - (value - low) / (high - low) * (tall - 2 * EDGE), 1)

    bars = "".join(
        f'<rect x="{across(a)}" y="{top + EDGE}" width="{max(across(b) - across(a), 2):.1f}" '
        f'height="{tall}" fill="{RED}" opacity="0.25"/>'
        for a, b in panel.bars
    )
    path, pen = [], "M"
    for a, b in zip(panel.x.tolist(), panel.y.tolist(), strict=True):
        if np.isfinite(b):
            path.append(f"{pen}{across(a)} {up(b)}")
        pen = "L" if np.isfinite(b) else "M"
    line = f'<path d="{"".join(path)}" fill="none" stroke="{GREY}"/>'
    shown = np.isfinite(panel.y) & (panel.dots | panel.marked)
    dots = "".join(
        f'<circle cx="{across(panel.x[i])}" cy="{up(panel.y[i])}" r="2.2" '
        f'fill="{panel.colour if panel.marked[i] else GREY}"/>'
        for i in np.flatnonzero(shown).tolist()
    )
    return (
        f'<rect x="{LEFT}" y="{top + EDGE}" width="{inner}" height="{tall}" fill="none" '
        f'stroke="#d9dee3"/><text x="4" y="{top + HEIGHT / 2 + 4:g}">{panel.name}</text>'
        f"{bars}{'' if panel.dots else line}{dots}"
    )


def spans(x: Values, where: Mask) -> list[tuple[float, float]]:
    """Stretches of x in which `where` holds.

    >>> spans(np.arange(5.0), np.array([False, True, True, False, True]))
    [(1.0, 2.0), (4.0, 4.0)]
    """
    edges = np.diff(np.concatenate([[0], where.astype(np.int8), [0]]))
    begun, ended = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return list(zip(x[begun].tolist(), x[ended].tolist(), strict=True))
