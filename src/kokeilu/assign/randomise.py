"""The draw."""

from __future__ import annotations

from dataclasses import replace

from kokeilu._kernels.streams import Seed
from kokeilu.core.assignment import DRAW_STREAM, Assignment
from kokeilu.core.population import Population
from kokeilu.core.protocols import Mechanism
from kokeilu.core.register import read_register
from kokeilu.core.table import column_names
from kokeilu.errors import DesignError

__all__ = ["check_design", "draw_population", "randomise"]


def check_design(design: object) -> Mechanism:
    """Return the design when it is a mechanism."""
    if isinstance(design, type) or not isinstance(design, Mechanism):
        raise DesignError(f"design must be a mechanism such as Stratified(...) or Complete(...); got {_made(design)}.")
    return design


def _made(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def randomise(table: object, design: Mechanism, *, id: str, seed: str | int | bytes) -> Assignment:
    """Draw the people of a register into arms, so that anyone with the register and the seed gets the same draw.

    Row order, the kind of the columns (text, categories, labelled) and the table library never change the draw. One
    thing does: ids are drawn in their order, and whole numbers sort by size, text by code point, so a register read
    once with ids 9 and 10 and once with ids "9" and "10" is two registers; :func:`verify` says so.

    Parameters
    ----------
    table : pandas, pyarrow or Arrow-capable table
        The register: one row for each person.
    design : Mechanism
        The rule, such as ``Stratified(arms(control=1, coaching=1), by="region")``.
    id : str
        The column that names each person once.
    seed : str, int or bytes
        Published, and not of your choosing. There is no default.

    Returns
    -------
    Assignment

    Raises
    ------
    SeedError, DesignError, ColumnError, DataError
        For a seed that is None or empty; with a design that the register cannot carry; for absent columns; for
        missing or repeated ids and missing strata. Nobody is dropped silently.

    Examples
    --------
    >>> import kokeilu as kk
    >>> seekers = kk.datasets.job_seekers(1_000, seed="example")
    >>> design = kk.Stratified(kk.arms(control=1, coaching=1), by="long_term")
    >>> kk.randomise(seekers, design, id="person_id", seed="lottery of 21 November 2026: 4 11 19 23 30").counts()
    {'control': 500, 'coaching': 500}
    """
    source = Seed.of(seed)
    mechanism = check_design(design)
    population, _ = read_register(table, mechanism, id=id)
    return replace(draw_population(population, mechanism, seed=source), known=tuple(column_names(table)))


def draw_population(population: Population, mechanism: Mechanism, *, seed: str | int | bytes | Seed) -> Assignment:
    """Draw people who were read before, as :func:`randomise` does."""
    source = Seed.of(seed)
    lottery = mechanism.bind(population)
    codes = lottery.draw(source.stream(DRAW_STREAM), 1)[0]
    return Assignment(mechanism=mechanism, population=population, lottery=lottery, codes=codes, seed=source)
