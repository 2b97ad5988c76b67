"""The forest plot: effects with intervals, registered above exploratory, one panel for each outcome."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from kokeilu.report.colours import PALETTE
from kokeilu.report.context import Context
from kokeilu.report.effects import EffectLine
from kokeilu.report.figures import COLOURS, MARKERS, WIDTH, plain_axis
from kokeilu.report.svg import Picture, clip, picture, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST_EFFECTS", "drawn_effects", "forest_picture"]

MOST_EFFECTS = 40
_LEFT, _RIGHT, _ROW = 2.8, 5.35, 0.28
_CHARACTERS = 40
_HEAD, _TITLE, _AXIS = 0.36, 0.3, 0.62


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """Effects on one outcome; `heads` where a section (registered, exploratory) begins."""

    heads: bool
    registered: bool
    lines: tuple[EffectLine, ...]

    @property
    def height(self) -> float:
        return _HEAD * self.heads + _TITLE + self.row * len(self.lines) + _AXIS

    @property
    def row(self) -> float:
        """Height of a row: that of two lines where a label needs them."""
        return _ROW if all(len(wrapped(line.short, _CHARACTERS)) == 1 for line in self.lines) else 0.42


def drawn_effects(lines: tuple[EffectLine, ...]) -> tuple[EffectLine, ...]:
    """Return the effects that the plot shows: those with numbers, the first forty."""
    return tuple(line for line in lines if line.value is not None)[:MOST_EFFECTS]


def forest_picture(context: Context, lines: tuple[EffectLine, ...]) -> Picture | None:
    """Plot effects with their intervals; None where there is none to show."""
    drawn = drawn_effects(lines)
    if not drawn:
        return None
    panels = _panels(drawn)
    height = sum(panel.height for panel in panels) + 0.05
    text = context.text
    return picture(
        (WIDTH, height),
        partial(_forest, context, panels, height),
        name="forest",
        title=text("effects.figure_title", level=context.percent_level),
        description=text("effects.figure_desc"),
    )


def _forest(context: Context, panels: tuple[_Panel, ...], height: float, figure: Figure) -> None:
    top = 0.0
    for panel in panels:
        _draw(context, figure, panel, top, height)
        top += panel.height


def _panels(lines: tuple[EffectLine, ...]) -> tuple[_Panel, ...]:
    panels: list[_Panel] = []
    for registered in (True, False):
        mine = sorted((x for x in lines if x.registered is registered), key=_first_place(lines))
        for place, (_, group) in enumerate(groupby(mine, key=lambda x: (x.outcome, x.told_in))):
            panels.append(_Panel(heads=place == 0, registered=registered, lines=tuple(group)))
    return tuple(panels)


def _first_place(lines: tuple[EffectLine, ...]) -> _Order:
    return _Order(tuple(dict.fromkeys((line.outcome, line.told_in) for line in lines)))


@dataclass(frozen=True, slots=True)
class _Order:
    outcomes: tuple[tuple[str, str], ...]

    def __call__(self, line: EffectLine) -> int:
        return self.outcomes.index((line.outcome, line.told_in))


def _draw(context: Context, figure: Figure, panel: _Panel, top: float, height: float) -> None:
    text, first = context.text, panel.lines[0]
    place = top
    if panel.heads:
        head = text("effects.registered") if panel.registered else text("effects.exploratory")
        _write(figure, height, 0.02, place + 0.2, head, colour="quiet", bold=True)
        if top > 0:
            _rule(figure, height, place)
        place += _HEAD
    _write(figure, height, 0.02, place + 0.14, clip(first.outcome, 60), bold=True)
    place += _TITLE
    body = panel.row * len(panel.lines)
    box = (_LEFT / WIDTH, 1 - (place + body) / height, (_RIGHT - _LEFT) / WIDTH, body / height)
    axes = figure.add_axes(box)
    _rows(context, axes, panel)
    for k, line in enumerate(panel.lines):
        centre = place + panel.row * (k + 0.5)
        label = wrapped(line.short, _CHARACTERS)
        for i, said in enumerate(label):
            _write(figure, height, 0.12, centre + 0.17 * (i - (len(label) - 1) / 2), said)
        _write(figure, height, _RIGHT + 0.12, centre, _said(context, line))


def _rows(context: Context, axes: Axes, panel: _Panel) -> None:
    ends = [0.0, *(b for x in panel.lines for b in (x.low, x.high) if b is not None)]
    pad = 0.06 * (max(ends) - min(ends) or 1.0)
    axes.set_xlim(min(ends) - pad, max(ends) + pad)
    axes.set_ylim(len(panel.lines) - 0.5, -0.5)
    axes.axvline(0, color=PALETTE["ink"], linewidth=1)
    # Colour and marker both tell registered from exploratory; filled and hollow make it plain without colour.
    colour, marker = (COLOURS[0], MARKERS[1]) if panel.registered else (COLOURS[1], MARKERS[0])
    face = colour if panel.registered else PALETTE["paper"]
    for k, line in enumerate(panel.lines):
        dash = "-" if panel.registered else (0, (4, 2))
        if line.value is None or line.low is None or line.high is None:
            continue
        axes.plot([line.low, line.high], [k, k], color=colour, linewidth=1.6, linestyle=dash)
        axes.plot([line.value], [k], marker=marker, color=colour, markerfacecolor=face, markersize=6)
    plain_axis(context, axes)
    unit, text = panel.lines[0].told_in, context.text
    label = text("effects.figure_axis", unit=unit) if unit else text("effects.figure_axis_plain")
    axes.set_xlabel(label, color=PALETTE["quiet"], fontsize=8.5, labelpad=2)


def _said(context: Context, line: EffectLine) -> str:
    effect = context.numbers.fixed(line.value, line.decimals)
    if line.low is None or line.high is None:
        return effect
    interval = context.range(line.low, line.high, line.decimals)
    return context.text("effects.figure_said", effect=effect, interval=interval)


def _write(
    figure: Figure, height: float, x: float, y: float, said: str, *, colour: str = "ink", bold: bool = False
) -> None:
    weight = "bold" if bold else "normal"
    figure.text(x / WIDTH, 1 - y / height, said, va="center", color=PALETTE[colour], fontweight=weight)


def _rule(figure: Figure, height: float, y: float) -> None:
    from matplotlib.lines import Line2D

    figure.add_artist(Line2D([0, 1], [1 - y / height] * 2, color=PALETTE["ink"], linewidth=1.5))
