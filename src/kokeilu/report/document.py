"""One self-contained, accessible HTML file from findings."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from kokeilu._checks import positive_int
from kokeilu.errors import FileError, PlanError
from kokeilu.report.balance import MOST_LINES, balance_lines, balance_table, omnibus_text, split_lines
from kokeilu.report.colours import PALETTE
from kokeilu.report.context import Context, context_of
from kokeilu.report.design import (
    arms_table,
    deviations_table,
    draw_table,
    not_made_table,
    outcomes_table,
    said_notes,
    units_text,
)
from kokeilu.report.effects import EffectLine, effect_lines, effects_table, methods_table, tests_table
from kokeilu.report.figures import flow_picture, love_picture
from kokeilu.report.flow import Flow, flow_table, flows, other_flow_table
from kokeilu.report.forest import drawn_effects, forest_picture
from kokeilu.report.summary import opening, primary_findings
from kokeilu.report.svg import Picture
from kokeilu.report.tables import Table

if TYPE_CHECKING:
    from kokeilu.plan.findings import Findings

__all__ = ["write_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A figure, its table, what is folded away, and a note."""

    picture: Picture | None
    table: Table | None
    folded: Table | None = None
    note: str = ""


def write_report(findings: Findings, path: str | Path, *, language: str = "en", least_cell: int = 3) -> Path:
    """Write the report of a trial: one HTML file with nothing to load, the same bytes for the same findings.

    The file has headings, captions and row headings, a text in the place of each figure and the same numbers as a
    table, and neither scripts nor the date. It names nobody.

    Parameters
    ----------
    findings : Findings
        From :func:`kokeilu.analyse`.
    path : str or Path
        Where to write; an existing file is replaced.
    language : str
        A language that has texts in ``report/texts``.
    least_cell : int
        The smallest count of people above 0 that is shown. Smaller ones are hidden with what is computed from them,
        and so are further counts that would give them back.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    PlanError
        Where `findings` are none.
    DesignError
        For a language without texts, or `least_cell` below 1.
    FileError
        Where the file cannot be written, or matplotlib or jinja2 is not installed.

    References
    ----------
    WCAG 2.1, level AA; CONSORT 2025, items 22a and 26.

    Examples
    --------
    >>> import tempfile
    >>> import kokeilu as kk
    >>> people = {"id": list(range(40))}
    >>> plan = kk.Plan(title="Coach", id="id", design=kk.Complete(kk.arms(control=1, coaching=1)),
    ...                outcomes=(kk.Outcome("work"),), analyses=(kk.Analysis("work"),))
    >>> assignment = kk.enrol(plan, people, seed="published")
    >>> findings = kk.analyse(plan, assignment, {**people, "work": [i % 7 for i in range(40)]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kk.write_report(findings, folder + "/report.html").name
    'report.html'
    """
    if not hasattr(findings, "executed"):
        raise PlanError(f"the report is made from findings, from analyse(plan, ...); got {type(findings).__name__}.")
    _need("matplotlib", "jinja2")
    context = context_of(findings, language=language, least_cell=positive_int(least_cell, name="least_cell"))
    target = Path(path)
    page = render(context).encode("utf-8")
    trouble = _written(target, page)
    if trouble:
        raise FileError(
            f"the report cannot be written to {target.name!r}: {trouble}. Give a file in a folder that exists."
        )
    return target


def _need(*packages: str) -> None:
    from importlib.util import find_spec

    absent = [name for name in packages if find_spec(name) is None]
    if absent:
        raise FileError(f"the report needs {' and '.join(absent)}: install the extra, pip install 'kokeilu[report]'.")


def _written(target: Path, page: bytes) -> str:
    try:
        target.write_bytes(page)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def render(context: Context) -> str:
    """Return the document as text."""
    from jinja2 import Environment, StrictUndefined

    folder = resources.files("kokeilu.report") / "templates"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "report.html.j2").read_text(encoding="utf-8"))
    style = (folder / "report.css").read_text(encoding="utf-8")
    colours = "".join(f"--{name}:{value};" for name, value in PALETTE.items())
    lines = effect_lines(context)
    return template.render(
        text=context.text,
        language=context.text.language,
        style=f":root{{{colours}}}\n{style}",
        findings=context.findings,
        corrected=context.corrected,
        least=context.counts.least,
        opening=opening(context),
        summary=primary_findings(context, lines),
        units=units_text(context),
        arms=arms_table(context),
        outcomes=outcomes_table(context),
        draw=draw_table(context),
        flows=_flows(context),
        omnibus=omnibus_text(context),
        balance=_balance(context),
        effects=_effects(context, lines),
        methods=methods_table(context),
        not_made=not_made_table(context),
        tests=tests_table(context),
        deviations=deviations_table(context),
        notes=said_notes(context),
    )


def _flows(context: Context) -> tuple[_Shown, ...]:
    every = flows(context)
    shown = [_flow(context, flow) for flow in every if flow.primary]
    others = other_flow_table(context, tuple(flow for flow in every if not flow.primary))
    return (*shown, *([_Shown(picture=None, table=others)] if others else []))


def _flow(context: Context, flow: Flow) -> _Shown:
    return _Shown(picture=flow_picture(context, flow), table=flow_table(context, flow))


def _balance(context: Context) -> _Shown | None:
    lines = balance_lines(context)
    if not lines:
        return None
    first, rest = split_lines(lines)
    note = context.text("balance.figure_part", shown=MOST_LINES, all=len(lines)) if rest else ""
    folded = balance_table(context, rest, rest=True) if rest else None
    return _Shown(picture=love_picture(context, first), table=balance_table(context, first), folded=folded, note=note)


def _effects(context: Context, lines: tuple[EffectLine, ...]) -> _Shown | None:
    if not lines:
        return None
    shown, able = len(drawn_effects(lines)), sum(line.value is not None for line in lines)
    note = context.text("effects.figure_part", shown=shown, all=able) if shown < able else ""
    return _Shown(picture=forest_picture(context, lines), table=effects_table(context, lines), note=note)
