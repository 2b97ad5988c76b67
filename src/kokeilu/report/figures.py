"""The love plot and the flow of people, drawn from the lines of their tables and never from microdata."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kokeilu.report.balance import BalanceLine
from kokeilu.report.colours import PALETTE
from kokeilu.report.context import Context
from kokeilu.report.flow import Flow
from kokeilu.report.svg import Picture, clip, picture, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "MARKERS", "WIDTH", "flow_picture", "love_picture"]

WIDTH = 7.4
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
COLOURS = tuple(PALETTE[name] for name in ("first", "second", "third", "fourth"))
_SMALL = 0.1


def love_picture(context: Context, lines: tuple[BalanceLine, ...]) -> Picture | None:
    """Plot standardised differences, one row for each line; None where no difference is shown."""
    drawn = tuple(line for line in lines if any(d is not None for d in line.differences))
    if not drawn:
        return None
    legend = -(-(len(context.arms) - 1) // _legend_columns(context.arms[1:]))
    height = 1.0 + 0.25 * len(drawn) + 0.23 * legend
    text, largest = context.text, context.numbers.fixed(max(line.reach() for line in drawn), 3)
    return picture(
        (WIDTH, height),
        partial(_love, context, drawn, height),
        name="love",
        title=text("balance.figure_title"),
        description=text("balance.figure_desc", reference=context.arms[0], largest=largest),
    )


def _love(context: Context, drawn: tuple[BalanceLine, ...], height: float, figure: Figure) -> None:
    others, bottom, left = context.arms[1:], 0.62 / height, 2.5 / WIDTH
    axes = figure.add_axes((left, bottom, 1 - left - 0.12 / WIDTH, (0.25 * len(drawn) + 0.15) / height))
    _love_axes(context, axes, max(0.16, 1.12 * max(line.reach() for line in drawn)), len(drawn))
    across = axes.get_yaxis_transform()
    for place, line in enumerate(drawn):
        label = clip(line.label, 34)
        axes.text(-0.03, place, label, transform=across, ha="right", va="center", color=PALETTE["ink"])
    for k, arm in enumerate(others):
        # Markers of several arms stand a little apart, so that equal differences do not cover each other.
        shift = (k - (len(others) - 1) / 2) * 0.4 / max(1, len(others) - 1)
        spots = [(d, place + shift) for place, line in enumerate(drawn) if (d := line.differences[k]) is not None]
        axes.plot(
            [x for x, _ in spots],
            [y for _, y in spots],
            linestyle="none",
            marker=MARKERS[k % len(MARKERS)],
            color=COLOURS[k % len(COLOURS)],
            markersize=5.5,
            label=clip(arm, 60),
        )
    label = context.text("balance.figure_axis", reference=clip(context.arms[0], 30))
    figure.text(0.5, 0.13 / height, label, ha="center", va="center", color=PALETTE["quiet"], fontsize=8.5)
    columns = _legend_columns(context.arms[1:])
    figure.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0), ncols=columns, frameon=False, labelcolor=PALETTE["ink"])


def _legend_columns(arms: tuple[str, ...]) -> int:
    """Return how many arms stand side by side in the legend: names are cut at 60 characters."""
    longest = max(min(len(arm), 60) for arm in arms)
    return max(1, min(4, len(arms), 96 // (longest + 8)))


def _love_axes(context: Context, axes: Axes, reach: float, rows: int) -> None:
    axes.set_xlim(-reach, reach)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.axvline(0, color=PALETTE["ink"], linewidth=1)
    for row in range(0, rows, 2):
        axes.axhspan(row - 0.5, row + 0.5, color=PALETTE["shade"], linewidth=0, zorder=0)
    for bound in (-_SMALL, _SMALL):
        axes.axvline(bound, color=PALETTE["line"], linewidth=1, linestyle=(0, (4, 3)))
    plain_axis(context, axes)


def plain_axis(context: Context, axes: Axes) -> None:
    """Leave only the lower axis, with a few numbers written in the report's language."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PALETTE["line"])
    axes.set_yticks([])
    axes.patch.set_visible(False)
    low, high = axes.get_xlim()
    locator = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10])
    ticks = [float(t) for t in locator.tick_values(low, high) if low <= t <= high]
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    decimals = next((d for d in range(7) if abs(round(step, d) - step) < 1e-9 * max(1.0, step)), 6)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: context.numbers.fixed(x, decimals)))
    axes.tick_params(axis="x", colors=PALETTE["quiet"], labelsize=8.5)


_FLOW_LEFTS = (0.0, 1.25, 3.6, 5.65)
_FLOW_WIDTHS = (0.95, 1.85, 1.55, 1.75)
_BOX = 0.56
_GAP = 0.26
_LINE = 0.19
_NAME = 27


def flow_picture(context: Context, flow: Flow) -> Picture:
    """Draw the way from the trial's people to those with the outcome, one row for each arm."""
    text = context.text
    tall = _BOX + _LINE * (max(len(wrapped(line.arm, _NAME)) for line in flow.lines) - 1)
    height = 0.5 + (tall + _GAP) * len(flow.lines)
    return picture(
        (WIDTH, height),
        partial(_flow, context, flow, height, tall),
        name=f"flow-{flow.number}",
        title=text("flow.figure_title", outcome=flow.outcome),
        description=text("flow.figure_desc"),
    )


def _flow(context: Context, flow: Flow, height: float, tall: float, figure: Figure) -> None:
    text, rows = context.text, len(flow.lines)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    heads = (text("flow.people"), text("flow.assigned"), text("flow.figure_linked"), text("flow.figure_used"))
    for left, width, head in zip(_FLOW_LEFTS, _FLOW_WIDTHS, heads, strict=True):
        axes.text(left + width / 2, 0.2, head, ha="center", va="center", color=PALETTE["quiet"], fontsize=8.5)
    centres = [0.42 + (tall + _GAP) * place + tall / 2 for place in range(rows)]
    middle = (centres[0] + centres[-1]) / 2
    _box(axes, 0, middle, tall, (flow.people,))
    for line, centre in zip(flow.lines, centres, strict=True):
        _box(axes, 1, centre, tall, (line.assigned, *wrapped(line.arm, _NAME)))
        _box(axes, 2, centre, tall, (line.linked, text("flow.exit_absent", n=line.absent)))
        _box(axes, 3, centre, tall, (line.used, text("flow.exit_blank", n=line.blank)))
        for step in (1, 2):
            _arrow(axes, _FLOW_LEFTS[step] + _FLOW_WIDTHS[step], _FLOW_LEFTS[step + 1], centre)
        _branch(axes, middle, centre)


def _box(axes: Axes, step: int, centre: float, tall: float, lines: tuple[str, ...]) -> None:
    from matplotlib.patches import Rectangle

    left, width = _FLOW_LEFTS[step] + 0.02, _FLOW_WIDTHS[step] - 0.04
    edge, face = PALETTE["line"], PALETTE["shade"]
    axes.add_patch(Rectangle((left, centre - tall / 2), width, tall, facecolor=face, edgecolor=edge, linewidth=1))
    first = centre - 0.5 * _LINE * (len(lines) - 1)
    for k, line in enumerate(lines):
        weight = "normal" if k else "bold"
        spot = first + _LINE * k
        axes.text(left + width / 2, spot, line, ha="center", va="center", color=PALETTE["ink"], fontweight=weight)


def _arrow(axes: Axes, start: float, end: float, height: float) -> None:
    colour = PALETTE["quiet"]
    axes.plot([start, end - 0.05], [height, height], color=colour, linewidth=1)
    axes.fill([end + 0.01, end - 0.08, end - 0.08], [height, height - 0.04, height + 0.04], color=colour, linewidth=0)


def _branch(axes: Axes, start: float, end: float) -> None:
    right, turn = _FLOW_LEFTS[0] + _FLOW_WIDTHS[0], _FLOW_LEFTS[1] - 0.17
    axes.plot([right, turn, turn], [start, start, end], color=PALETTE["quiet"], linewidth=1)
    _arrow(axes, turn, _FLOW_LEFTS[1], end)
