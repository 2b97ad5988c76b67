"""A matplotlib figure as inline SVG: text as text, a name for screen readers, equal bytes on each run."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Picture", "clip", "picture", "wrapped"]

FONTS = "Helvetica, Arial, sans-serif"
SIZE = 9.0
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": SIZE,
    "axes.unicode_minus": True,
    "path.simplify": False,
    "text.parse_math": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure for the document: its SVG, title and description."""

    name: str
    title: str
    description: str
    svg: str


def wrapped(label: str, width: int, most: int = 2) -> tuple[str, ...]:
    """Break a label of a plot into at most so many lines; the table beside it has it whole."""
    lines = textwrap.wrap(label, width) or [""]
    kept = lines[:most]
    return tuple(kept) if len(lines) <= most else (*kept[:-1], clip(" ".join(lines[most - 1 :]), width))


def clip(label: str, most: int) -> str:
    """Shorten a label of a plot; the table beside it has it whole."""
    return label if len(label) <= most else label[: most - 1].rstrip() + "…"


def picture(
    size: tuple[float, float], draw: Callable[[Figure], None], *, name: str, title: str, description: str
) -> Picture:
    """Draw a figure of a size in inches and write it as SVG that can stand in an HTML document beside others.

    Nothing global is used or left behind: no pyplot, and the settings of the process neither show nor change.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Blank

    settings: Any = {**_SETTINGS, "svg.hashsalt": f"kokeilu {name}"}
    stream = io.StringIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        figure = Blank(figsize=size, facecolor="none")
        FigureCanvasSVG(figure)
        draw(figure)
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, facecolor="none")
    svg = _inline(stream.getvalue(), name, title, description)
    return Picture(name=name, title=title, description=description, svg=svg)


def _inline(source: str, name: str, title: str, description: str) -> str:
    body = source[source.index("<svg") :]
    head, body = body.split(">", 1)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    # matplotlib numbers its ids anew in each figure; in one document they must differ.
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'(href="#|url\(#)', rf"\1{name}-", body)
    body = re.sub(r"'DejaVu Sans'[^;\"]*", FONTS, body)
    box = re.search(r'viewBox="([^"]+)"', head)
    view = box.group(1) if box else "0 0 100 100"
    opening = (
        f'<svg viewBox="{view}" role="img" aria-labelledby="{name}-title {name}-desc" focusable="false" '
        f'stroke-linejoin="round" stroke-linecap="butt">'
    )
    told = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    lines = (line.rstrip() for line in body.splitlines())
    return f"{opening}{told}\n" + "\n".join(line for line in lines if line)
