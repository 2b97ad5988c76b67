"""Power along one assumption, as a figure to show or to save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kokeilu._checks import between
from kokeilu.errors import DesignError
from kokeilu.report.colours import PALETTE
from kokeilu.report.figures import COLOURS, WIDTH
from kokeilu.report.svg import clip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["power_plot"]

_HEIGHT = 4.2


def power_plot(*curves: Any, target: float = 0.80, labels: tuple[str, ...] = ()) -> Figure:
    """Plot power against effects, people, or another assumption.

    Parameters
    ----------
    *curves : PowerLine, PowerCurve, PowerGrid or ArmCurves
        From :func:`kokeilu.power_curve` or :func:`kokeilu.simulate_power`, all over the same axis. Simulated ones carry
        a band: the 95 % interval of Monte Carlo error.
    target : float
        A dashed line at this power.
    labels : tuple of str
        A name for each curve; the contrast where left out.

    Returns
    -------
    matplotlib.figure.Figure
        Not tied to a window: ``power_plot(curve).savefig("power.svg")``, or .png, or .pdf.

    Raises
    ------
    DesignError
        For something that is no power curve, curves over different axes, or labels for other curves.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Complete(kk.arms(control=1, coaching=1))
    >>> len(kk.power_plot(kk.power_curve(design, 1_000, kk.Mean(sd=1.0))).axes)
    1
    """
    between(target, 0.0, 1.0, name="target")
    single = [one for curve in curves for one in getattr(curve, "curves", (curve,))]
    if not single or not all(callable(getattr(one, "line", None)) for one in single):
        got = type(single[0]).__name__ if single else "nothing"
        raise DesignError(f"power_plot needs what power_curve or simulate_power returned; got {got}.")
    if labels and len(labels) != len(single):
        raise DesignError(f"{len(labels)} labels for {len(single)} curves; give one for each.")
    lines = [one.line() for one in single]
    if len({axis for axis, _ in lines}) > 1:
        raise DesignError(f"the curves run over {' and '.join(sorted({a for a, _ in lines}))}; plot them apart.")
    names = labels or tuple(_name(one) for one in single)
    return _drawn(lines, names if len(single) > 1 or labels else (), target)


def _name(curve: Any) -> str:
    return f"{curve.arm} - {curve.reference}" if hasattr(curve, "arm") else "formula"


def _drawn(lines: list[tuple[str, Any]], names: tuple[str, ...], target: float) -> Figure:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, _HEIGHT))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.09, 0.14, 0.88, 0.76 if names else 0.82))
    for k, (_, points) in enumerate(lines):
        x, power, low, high = zip(*sorted(points), strict=True)
        colour = COLOURS[k % len(COLOURS)]
        if low != high:
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(x, power, color=colour, linewidth=1.8, label=clip(names[k], 60) if names else None)
    axes.axhline(target, color=PALETTE["line"], linewidth=1, linestyle=(0, (4, 3)))
    _frame(axes, lines[0][0])
    if names:
        legend = figure.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0), ncols=min(3, len(names)), frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _frame(axes: Axes, over: str) -> None:
    axes.set_ylim(0.0, 1.0)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALETTE["line"])
    axes.set_xlabel(clip(over, 60), color=PALETTE["quiet"], fontsize=8.5, parse_math=False)
    axes.set_ylabel("power", color=PALETTE["quiet"], fontsize=8.5)
    axes.tick_params(colors=PALETTE["quiet"], labelsize=8.5)
