"""The public draw itself."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike

from kokeilu.assign.randomise import draw_population
from kokeilu.assign.verify import Check
from kokeilu.ceremony.certificate import Certificate, seed_of
from kokeilu.ceremony.checking import check_commitment, compare_code, compare_inputs, compare_register, keyed_names
from kokeilu.ceremony.commitment import Commitment, some_text
from kokeilu.ceremony.counts import count_draw
from kokeilu.ceremony.keys import read_key
from kokeilu.core.assignment import Assignment
from kokeilu.core.register import read_register
from kokeilu.core.table import column_names
from kokeilu.errors import PlanError

__all__ = ["draw"]


def draw(
    commitment: Commitment,
    table: object,
    *,
    key: bytes | str | PathLike[str],
    secret: bytes | str | PathLike[str],
    beacon: str,
) -> tuple[Assignment, Certificate]:
    """Draw as committed, with the public value that has come.

    Parameters
    ----------
    commitment : Commitment
    table : pandas, pyarrow or Arrow-capable table
        The register as it was frozen, in any row order.
    key, secret : bytes or path
        Those of the commitment.
    beacon : str
        The public value, written as its source writes it; blanks at its ends are dropped.

    Returns
    -------
    Assignment
        An ordinary one: its seed is SHA-256 over secret, public value, register, design and key.
    Certificate
        ``certificate.published()`` is the text to publish now, ``certificate.revealed()`` the one for later.

    Raises
    ------
    PlanError
        Where register, design, code, key or secret is not what was committed to: all that differ are named. Nothing is
        drawn then.
    SeedError, FileError, ColumnError, DataError
        A key or secret that cannot be used; a table that lacks a column.

    Examples
    --------
    >>> import kokeilu as kk
    >>> seekers = kk.datasets.job_seekers(500, seed="example")
    >>> key, secret = bytes(range(32)), bytes(range(32, 64))
    >>> commitment = kk.commit(seekers, kk.Complete(kk.arms(control=1, coaching=1)), id="person_id", key=key,
    ...                        secret=secret, source="main lottery numbers of 28 November 2026")
    >>> assignment, certificate = kk.draw(commitment, seekers, key=key, secret=secret, beacon="4 11 19 23 30 38 40")
    >>> kk.verify(certificate, seekers, key=key).verified
    True
    """
    check_commitment(commitment)
    known, hidden = read_key(key, what="key"), read_key(secret, what="secret")
    value = some_text(beacon, name="beacon", needed="the public value that was awaited")
    checks = [*compare_inputs(commitment, key=known, secret=hidden), compare_code(commitment)]
    differing = [c for c in checks if not c.holds]
    if differing:
        raise _refusal(differing)
    population, _ = read_register(table, commitment.design, id=commitment.id)
    compared, frame = compare_register(commitment, population, key=known, secret=hidden)
    if frame is None:
        raise _refusal([compared])
    seed = seed_of(commitment, beacon=value, key=known, secret=hidden)
    drawn = replace(
        draw_population(population, commitment.design, seed=seed),
        plan_fingerprint=commitment.plan,
        known=tuple(column_names(table)),
    )
    certificate = Certificate(
        commitment=commitment,
        commitment_fingerprint=commitment.fingerprint,
        beacon=value,
        counts=count_draw(drawn, keyed_names(commitment)),
        result_root=frame.result(drawn.codes, drawn.arms.names)[-1].hex(),
        secret=hidden,
    )
    return drawn, replace(certificate, stated=certificate.fingerprint)


def _refusal(differing: list[Check]) -> PlanError:
    told = "; ".join(f"{c.check}: {c.finding}" for c in differing)
    return PlanError(
        f"the draw is refused, for it is not what was committed to. {told}. Nothing was drawn: take what was "
        "committed to, or publish another commitment."
    )
