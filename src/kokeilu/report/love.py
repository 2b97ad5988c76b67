"""The love plot of a balance check, as a figure to show or to save."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kokeilu._checks import positive_int
from kokeilu.errors import DesignError
from kokeilu.report.colours import PALETTE
from kokeilu.report.figures import COLOURS, MARKERS, WIDTH
from kokeilu.report.svg import clip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kokeilu.balance.table import Balance, BalanceRow

__all__ = ["love_plot"]

SMALL = 0.1
_ROW = 0.26


def love_plot(balance: Balance, *, most: int = 60) -> Figure:
    """Plot the standardised differences of a balance check, one row for each covariate or level.

    Parameters
    ----------
    balance : Balance
        From :func:`kokeilu.check_balance`; the contrasts that it shows are drawn.
    most : int
        Rows at most: those with the largest differences, in the order of the check.

    Returns
    -------
    matplotlib.figure.Figure
        Not tied to a window: ``love_plot(balance).savefig("love.svg")``, or .png, or .pdf. Dashed lines at 0.1, within
        which a difference is usually called small.

    Raises
    ------
    DesignError
        For something that is no balance check, or has no standardised difference to show.

    Notes
    -----
    The differences are exact, of the people behind them; what is published should come from
    :func:`kokeilu.write_report`, which hides small groups.

    Examples
    --------
    >>> import kokeilu as kk
    >>> people = {"id": list(range(8)), "age": [31, 25, 44, 52, 38, 29, 60, 47]}
    >>> trial = kk.randomise(people, kk.Complete(kk.arms(control=1, coaching=1)), id="id", seed="example")
    >>> len(kk.love_plot(kk.check_balance(trial, people, on="age")).axes)
    1
    """
    lines = getattr(balance, "lines", None)
    if lines is None or not hasattr(balance, "omnibus"):
        raise DesignError(f"love_plot needs what check_balance returned; got {type(balance).__name__}.")
    positive_int(most, name="most")
    shown = [line for line in lines if any(value is not None for value in _values(balance, line))]
    if not shown:
        raise DesignError("no covariate has a standardised difference: nothing varies within the arms.")
    largest = sorted(range(len(shown)), key=lambda i: -_reach(balance, shown[i]))[:most]
    return _drawn(balance, [shown[i] for i in sorted(largest)], left_out=len(shown) - len(largest))


def _values(balance: Balance, line: BalanceRow) -> list[float | None]:
    return [line.contrast(arm, reference).std_difference for arm, reference in balance.pairs]


def _reach(balance: Balance, line: BalanceRow) -> float:
    return max((abs(value) for value in _values(balance, line) if value is not None), default=0.0)


def _drawn(balance: Balance, lines: list[BalanceRow], left_out: int) -> Figure:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    rows, pairs = len(lines), balance.pairs
    height = 1.1 + _ROW * rows + 0.23 * len(pairs)
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.36, 0.62 / height, 0.61, (_ROW * rows) / height))
    reach = max(0.16, 1.12 * max(_reach(balance, line) for line in lines))
    _frame(axes, reach, lines)
    for k, (arm, reference) in enumerate(pairs):
        # Markers of several contrasts stand a little apart, so that equal differences do not cover each other.
        shift = (k - (len(pairs) - 1) / 2) * 0.4 / max(1, len(pairs) - 1)
        spots = [
            (value, row + shift) for row, line in enumerate(lines) if (value := _values(balance, line)[k]) is not None
        ]
        axes.plot(
            [x for x, _ in spots],
            [y for _, y in spots],
            linestyle="none",
            marker=MARKERS[k % len(MARKERS)],
            color=COLOURS[k % len(COLOURS)],
            markersize=5.5,
            label=clip(f"{arm} - {reference}", 60),
        )
    more = f" ({left_out} rows with smaller differences left out)" if left_out else ""
    axes.set_xlabel(f"standardised difference{more}", color=PALETTE["quiet"], fontsize=8.5, parse_math=False)
    legend = figure.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0), frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _frame(axes: Axes, reach: float, lines: list[BalanceRow]) -> None:
    axes.set_xlim(-reach, reach)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    for row in range(0, len(lines), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=PALETTE["shade"], linewidth=0, zorder=0)
    axes.axvline(0, color=PALETTE["ink"], linewidth=1)
    for bound in (-SMALL, SMALL):
        axes.axvline(bound, color=PALETTE["line"], linewidth=1, linestyle=(0, (4, 3)))
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    labels = [f"{line.covariate}: {line.level}" if line.level else line.covariate for line in lines]
    axes.set_yticks(range(len(lines)), [clip(label, 38) for label in labels], parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=PALETTE["quiet"], labelsize=8.5)
