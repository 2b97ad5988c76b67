"""Allocations that were made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kokeilu._checks import choice, count_of
from kokeilu.assign.randomise import check_design
from kokeilu.core.arms import Arms
from kokeilu.core.assignment import Assignment
from kokeilu.core.population import Factor, Population
from kokeilu.core.protocols import Codes, Mechanism
from kokeilu.core.register import read_register
from kokeilu.core.table import level_text, read_columns, read_factor
from kokeilu.errors import ColumnError, DesignError

__all__ = ["adopt"]


def adopt(
    table: object,
    *,
    arm: str,
    design: Mechanism,
    id: str,
    labels: Mapping[object, str] | None = None,
    counts: str = "stated",
) -> Assignment:
    """Take in an allocation that was made elsewhere, with the design stated once.

    The allocation must be one that the design can give; it cannot be verified by replay.

    Parameters
    ----------
    table : pandas, pyarrow or Arrow-capable table
    arm : str
        The column that holds each person's arm.
    design : Mechanism
        The rule by which it was drawn.
    id : str
        The column that names each person once.
    labels : mapping, optional
        From the values of `arm` to the names of the arms, such as ``{0: "control", 1: "training"}``. Not needed
        for values that are the names, or print as they do (0 for "0").
    counts : {"stated", "realised"}
        "stated": the shares of the design are those of the draw, and an allocation that they cannot give is
        refused. "realised": the numbers in each stratum are taken as they fell, and inference is conditional on
        them; for a trial whose shares are not known exactly.

    Returns
    -------
    Assignment
        With ``seed`` None.

    Raises
    ------
    DesignError
        Where a value is no arm of the design, an arm has nobody, or the design cannot give this allocation.
    ColumnError, DataError
        For absent columns, missing arms, and missing or repeated ids.

    Examples
    --------
    >>> import kokeilu as kk
    >>> trial = {"id": [1, 2, 3, 4], "treat": [0, 1, 1, 0]}
    >>> kk.adopt(trial, arm="treat", design=kk.Complete(kk.arms(control=1, training=1)), id="id",
    ...          labels={0: "control", 1: "training"}).counts()
    {'control': 2, 'training': 2}
    """
    mechanism = check_design(design)
    if arm == id or arm in mechanism.columns():
        raise ColumnError(f"{arm!r} holds the arm and cannot also be the id or a column of the design.")
    population, order = read_register(table, mechanism, id=id, where="the table")
    factor = read_factor(read_columns(table, (arm,), where="the table")[arm], arm, where="the table")
    lottery = mechanism.bind(population)
    codes = _arm_codes(factor, lottery.arms, labels or {}, arm)[order]
    if choice(counts, ("stated", "realised"), name="counts") == "realised":
        mechanism = _realised(mechanism, population, codes)
        lottery = mechanism.bind(population)
    check = getattr(lottery, "problem", None)
    trouble = check(codes) if check else None
    if trouble:
        raise DesignError(
            f"the design cannot give the allocation in {arm!r}: {trouble}. State the design as it was: the shares by "
            "stratum as they were drawn, Bernoulli where each person was drawn alone, or counts='realised' where the "
            "shares are not known exactly."
        )
    return Assignment(mechanism=mechanism, population=population, lottery=lottery, codes=codes, seed=None)


def _realised(mechanism: Mechanism, population: Population, codes: Codes) -> Mechanism:
    adapt = getattr(mechanism, "as_realised", None)
    if adapt is None:
        raise DesignError(
            f"{type(mechanism).__name__} does not fix the numbers in the arms, so counts='realised' has no meaning."
        )
    return check_design(adapt(population, codes))


def _arm_codes(factor: Factor, arms: Arms, labels: Mapping[object, str], column: str) -> Codes:
    if not isinstance(labels, Mapping):
        raise DesignError(
            f"labels must be a mapping such as {{0: 'control', 1: 'coaching'}}; got {type(labels).__name__}."
        )
    named = {level_text(value): name for value, name in labels.items()}
    if len(named) < len(labels):
        raise DesignError("labels state a value twice (1 and '1' are the same value). Keep one of them.")
    named = {value: arms.names[arms.index(name)] for value, name in named.items()}
    wanted = [named.get(level, level) for level in factor.levels]
    lost = [level for level in wanted if level not in arms.names]
    if lost:
        raise DesignError(
            f"{column!r} has {count_of(len(lost), 'value')} that {'is' if len(lost) == 1 else 'are'} no arm of the "
            f"design ({', '.join(arms.names)}). Name the arms alike, or say which is which: "
            "labels={0: 'control', 1: 'coaching'}."
        )
    table = np.array([arms.names.index(level) for level in wanted], dtype=np.int8)
    codes = table[factor.codes]
    counts = np.bincount(codes, minlength=len(arms))
    empty = [arm.name for arm, n in zip(arms, counts, strict=True) if n == 0 and arm.share > 0]
    if empty:
        raise DesignError(f"arm {', '.join(map(repr, empty))} of the design has nobody in {column!r}.")
    return codes
