"""Views made from arrays, so that estimators can be tested without a register."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest

from kokeilu._kernels.streams import Seed
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.protocols import Lottery
from kokeilu.core.view import Account, View


def build(
    y: Sequence[float],
    codes: Sequence[int],
    *,
    strata: Any = None,
    clusters: Any = None,
    shares: Any = None,
    covariates: Any = None,
    names: Sequence[str] | None = None,
    arms: Sequence[str] = ("control", "coaching"),
    assigned: Sequence[int] | None = None,
) -> View:
    values = np.asarray(y, dtype=np.float64)
    z = np.asarray(codes, dtype=np.int8)
    n, k = values.size, len(arms)
    counts = tuple(int(c) for c in np.bincount(z, minlength=k))
    columns = np.empty((n, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64).reshape(n, -1)
    return View(
        outcome="y",
        arms=Arms(tuple(Arm(name, Fraction(1, k)) for name in arms)),
        y=values,
        codes=z,
        rows=np.arange(n),
        strata=np.zeros(n, dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1],
        clusters=None if clusters is None else np.unique(clusters, return_inverse=True)[1],
        shares=np.full((n, k), 1 / k) if shares is None else np.asarray(shares, dtype=np.float64),
        covariates=columns,
        covariate_names=tuple(names or (f"x{j}" for j in range(columns.shape[1]))),
        account=Account(
            arms=tuple(arms),
            assigned=counts if assigned is None else tuple(assigned),
            linked=counts,
            observed=counts,
        ),
        lottery=cast(Lottery, None),
        stream=Seed.of("test").stream("view"),
        fixed=True,
        strata_names=(),
        cluster_name=None,
    )


@pytest.fixture
def make_view() -> Callable[..., View]:
    return build
