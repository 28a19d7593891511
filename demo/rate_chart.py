"""Quality against rate as inline SVG: ways of coding one picture, as points and as curves.

Drawn twice, for a wide and for a narrow page, so that letters keep their size; `style/chart.css`
shows the one that fits. Each point tells its figures where it is pointed at or has the focus, and
all stand in a table below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

SIZES = {"wide": (720, 380), "narrow": (340, 320)}  # CSS pixels
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 46, 44  # around the plot; what is pointed at is told above it
RADIUS = 5.5
COLOURS = 8  # in style/chart.css; further series take them again
# Corners of the markers within a circle of 1, so that series differ by more than colour.
SHAPES: tuple[tuple[int, float], ...] = ((0, 0), (4, 45), (3, -90), (4, 0), (3, 90), (5, -90))


@dataclass(frozen=True)
class Point:
    """`rate` in bits a pixel, `value` of the quality, and `what` it is of its series."""

    rate: float
    value: float
    what: str
    filled: bool = True


@dataclass(frozen=True)
class Series:
    """Points that are joined by a line; a `curve` has small ones."""

    name: str
    points: tuple[Point, ...]
    curve: bool = False


@dataclass(frozen=True)
class Words:
    """What the chart says, in the visitor's language.

    `told`: a rate and a value as texts → the line about a point.
    """

    label: str
    rate: str
    value: str
    table: str
    way: str
    told: Callable[[str, str], str]
    number: Callable[[float], str]  # a value as text


@dataclass(frozen=True)
class Axis:
    """Numbers from `ticks[0]` to `ticks[-1]`, by their logarithm or as they are."""

    ticks: tuple[float, ...]
    logarithmic: bool = False

    def place(self, number: float) -> float:
        """0 at the first tick, 1 at the last."""
        scale = math.log if self.logarithmic else float
        low, high = scale(self.ticks[0]), scale(self.ticks[-1])
        return (scale(number) - low) / (high - low)

    @classmethod
    def of_rates(cls, rates: Sequence[float]) -> Axis:
        """Ticks at 1, 2 and 5 times powers of ten, from just below the least to just above the
        most, which are above 0."""
        low, high = min(rates), max(rates)
        decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
        # 0.1, not the 0.1 + 1e-17 that a power of ten may give.
        every = [float(f"{digit}e{power}") for power in decades for digit in (1, 2, 5)]
        first = max(i for i, tick in enumerate(every) if tick <= low)
        last = min(i for i, tick in enumerate(every) if tick >= high)
        return cls(tuple(every[first : max(last, first + 1) + 1]), logarithmic=True)

    @classmethod
    def of_values(cls, values: Sequence[float]) -> Axis:
        """About five ticks at equal, round steps around all values."""
        low, high = min(values), max(values)
        rough = max(high - low, 1e-3) / 5
        power = math.floor(math.log10(rough))
        step = next(
            float(f"{digit}e{power}") for digit in (1, 2, 5, 10) if digit * 10**power >= rough
        )
        first, last = math.floor(low / step), math.ceil(high / step)
        last = max(last, first + 1)
        return cls(tuple(round(i * step, 6) for i in range(first, last + 1)))


def rate_chart(series: Sequence[Series], words: Words) -> str:
    """The figure as HTML; empty where there is no point that can be drawn.

    A rate of 0, and a picture of which nothing is lost, have no place on the axes: they are in the
    table only.
    """
    drawn = [p for one in series for p in one.points if _has_place(p)]
    if not drawn:
        return ""
    rates, values = Axis.of_rates([p.rate for p in drawn]), Axis.of_values([p.value for p in drawn])
    plots = "".join(_svg(name, series, rates, values, words) for name in SIZES)
    keys = "".join(
        f"<li>{_key(index, one)}{escape(one.name)}</li>" for index, one in enumerate(series)
    )
    return f"<div class='rate-chart'>{plots}<ul>{keys}</ul>{_table(series, words)}</div>"


def _has_place(point: Point) -> bool:
    return point.rate > 0 and math.isfinite(point.value)


def _svg(size: str, series: Sequence[Series], rates: Axis, values: Axis, words: Words) -> str:
    width, height = SIZES[size]
    right, bottom = width - RIGHT, height - BOTTOM

    def at(rate: float, value: float) -> tuple[float, float]:
        x = LEFT + rates.place(rate) * (right - LEFT)
        return round(x, 2), round(bottom - values.place(value) * (bottom - TOP), 2)

    parts = []
    low = values.ticks[0]
    for tick in rates.ticks:
        x, _ = at(tick, low)
        parts.append(f"<line class='chart-grid' x1='{x}' x2='{x}' y1='{TOP}' y2='{bottom}'/>")
        parts.append(f"<text x='{x}' y='{bottom + 17}' text-anchor='middle'>{tick:g}</text>")
    for tick in values.ticks:
        _, y = at(rates.ticks[0], tick)
        parts.append(f"<line class='chart-grid' x1='{LEFT}' x2='{right}' y1='{y}' y2='{y}'/>")
        parts.append(f"<text x='{LEFT - 7}' y='{y + 4}' text-anchor='end'>{tick:g}</text>")
    middle = (LEFT + right) / 2
    parts.append(
        f"<text class='chart-axis' x='{middle}' y='{height - 6}' text-anchor='middle'>"
        f"{escape(words.rate)}</text>"
        f"<text class='chart-axis chart-unit' x='4' y='{TOP - 12}'>{escape(words.value)}</text>"
    )
    lines, marks = [], []
    for index, one in enumerate(series):
        placed = [(at(p.rate, p.value), p) for p in one.points if _has_place(p)]
        line = " ".join(f"{x},{y}" for (x, y), _ in placed)
        kind = f"series-{index % COLOURS}" + (" chart-curve" if one.curve else "")
        lines.append(f"<polyline class='{kind}' points='{line}'/>")
        for (x, y), point in placed:
            told = words.told(f"{point.rate:.3g}", words.number(point.value))
            name = f"{one.name}, {point.what}"
            radius = 3 if one.curve else RADIUS
            marks.append(
                f"<g class='chart-point {kind}' tabindex='0' role='img' "
                f"aria-label='{escape(f'{name}: {told}')}'>"
                f"<circle class='chart-hit' cx='{x}' cy='{y}' r='11'/>"
                f"{_marker(index, x, y, radius, point.filled)}"
                f"<text class='chart-told' x='{right}' y='13' text-anchor='end'>{escape(name)}"
                f"<tspan x='{right}' dy='16'>{escape(told)}</tspan></text></g>"
            )
    return (
        f"<svg class='chart-{size}' viewBox='0 0 {width} {height}' width='{width}' "
        f"height='{height}' role='group' aria-label='{escape(words.label)}'>"
        f"{''.join(parts)}{''.join(lines)}{''.join(marks)}</svg>"
    )


def _marker(index: int, x: float, y: float, radius: float, filled: bool) -> str:
    look = "chart-mark" if filled else "chart-mark chart-hollow"
    corners, turn = SHAPES[index % len(SHAPES)]
    if not corners:
        return f"<circle class='{look}' cx='{x}' cy='{y}' r='{radius}'/>"
    angles = [math.radians(turn + 360 * i / corners) for i in range(corners)]
    reach = radius * 1.2  # a polygon looks smaller than the circle around it
    points = " ".join(
        f"{x + reach * math.cos(a):.2f},{y + reach * math.sin(a):.2f}" for a in angles
    )
    return f"<polygon class='{look}' points='{points}'/>"


def _key(index: int, one: Series) -> str:
    kind = f"series-{index % COLOURS}" + (" chart-curve" if one.curve else "")
    return (
        f"<svg class='chart-key' viewBox='0 0 28 16' width='28' height='16' aria-hidden='true'>"
        f"<polyline class='{kind}' points='1,8 27,8'/><g class='{kind}'>"
        f"{_marker(index, 14, 8, 3 if one.curve else RADIUS, True)}</g></svg>"
    )


def _table(series: Sequence[Series], words: Words) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in (words.way, words.rate, words.value))
    rows = "".join(
        f"<tr><th scope='row'>{escape(f'{one.name}, {p.what}')}</th>"
        f"<td>{p.rate:.3g}</td><td>{escape(words.number(p.value))}</td></tr>"
        for one in series
        for p in one.points
    )
    return (
        f"<details><summary>{escape(words.table)}</summary><div class='wide-table' tabindex='0'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )
