"""Regression with HC2 at one million rows, and CR2 at register size, beside statsmodels and pyfixest."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, cast

import numpy as np

from kokeilu._kernels import linear
from kokeilu._kernels.clustered import cluster_robust
from kokeilu._kernels.streams import Seed
from kokeilu.core.arms import Arm, Arms
from kokeilu.core.protocols import Lottery
from kokeilu.core.view import Account, View
from kokeilu.estimate.regression import Regression

REPEATS = 3


def best(work: Callable[[], Any]) -> float:
    """Seconds of the fastest of a few runs."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def data(n: int, k: int, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    doubles = Seed.of(f"bench {name}").stream("data").doubles(n, k + 2)
    x, codes = doubles[:, :k].copy(), (doubles[:, k] < 0.5).astype(np.int8)
    return x, codes, x.sum(axis=1) + codes + doubles[:, k + 1]


def view_of(x: np.ndarray, codes: np.ndarray, y: np.ndarray) -> View:
    counts = tuple(int(c) for c in np.bincount(codes, minlength=2))
    return View(
        outcome="y",
        arms=Arms((Arm("control", Fraction(1, 2)), Arm("coaching", Fraction(1, 2)))),
        y=y,
        codes=codes,
        rows=np.arange(y.size),
        strata=np.zeros(y.size, dtype=np.int64),
        clusters=None,
        shares=np.full((y.size, 2), 0.5),
        covariates=x,
        covariate_names=tuple(f"x{j}" for j in range(x.shape[1])),
        account=Account(arms=("control", "coaching"), assigned=counts, linked=counts, observed=counts),
        lottery=cast(Lottery, None),
        stream=Seed.of("bench").stream("view"),
        fixed=True,
        strata_names=(),
        cluster_name=None,
    )


def report(name: str, seconds: float, own: float) -> None:
    print(f"  {name:<52} {seconds:8.3f} s   {seconds / own:6.1f} times kokeilu's kernel")


def hc2(n: int = 1_000_000, k: int = 10) -> None:
    """HC2 for the arm and k covariates."""
    print(f"HC2, n = {n:,}, arm and {k} covariates")
    x, codes, y = data(n, k, "hc2")
    columns = np.column_stack([np.ones(n), codes, x])

    def kernel() -> float:
        design = linear.columns_of(columns)
        fitted = linear.fit(design, y)
        return float(np.sqrt(linear.covariance(design, y, fitted, "HC2").covariance[1, 1]))

    own = best(kernel)
    report("kokeilu kernel", own, own)
    view, names = view_of(x, codes, y), tuple(f"x{j}" for j in range(k))
    report("kokeilu Regression(interacted=False)", best(lambda: additive(view, names)), own)
    report(
        "kokeilu Regression() (Lin, twice the columns)", best(lambda: Regression(covariates=names).estimate(view)), own
    )
    statsmodels_hc2(columns, y, own, kernel())
    pyfixest_hc2(x, codes, y, own)


def additive(view: View, names: tuple[str, ...]) -> Any:
    return Regression(covariates=names, interacted=False).estimate(view)


def statsmodels_hc2(columns: np.ndarray, y: np.ndarray, own: float, error: float) -> None:
    import statsmodels.api as sm

    found: list[float] = []
    seconds = best(lambda: found.append(float(sm.OLS(y, columns).fit(cov_type="HC2").bse[1])))
    report("statsmodels OLS(...).fit(cov_type='HC2')", seconds, own)
    print(f"  largest relative difference of the error {abs(found[0] / error - 1):.1e}")


def pyfixest_hc2(x: np.ndarray, codes: np.ndarray, y: np.ndarray, own: float) -> None:
    try:
        import pandas as pd
        import pyfixest as pf
    except ImportError:
        print("  pyfixest is not installed (extra 'bench')")
        return
    names = [f"x{j}" for j in range(x.shape[1])]
    frame = pd.DataFrame(x, columns=names).assign(arm=codes.astype(float), y=y)
    formula = "y ~ arm + " + " + ".join(names)
    pf.feols(formula, frame.head(1000), vcov="HC2")  # compiled beforehand
    report("pyfixest feols(..., vcov='HC2')", best(lambda: pf.feols(formula, frame, vcov="HC2")), own)


def cr2(n: int = 100_000, n_clusters: int = 50, k: int = 10) -> None:
    """CR2 with Satterthwaite's degrees of freedom; estimatr 1.0.6 takes 288 s for 50 clusters on two cores."""
    print(f"CR2 with degrees of freedom, n = {n:,}, {n_clusters:,} clusters, arm and {k} covariates")
    x, _, y = data(n, k, "cr2")
    clusters = np.arange(n) * 7919 % n_clusters
    arm = (clusters % 2).astype(float)
    columns = np.column_stack([arm, x])
    first = np.eye(k + 1)[:1]
    for name, weights in (("unweighted", None), ("weighted", 1.0 + (clusters % 3))):
        design = linear.columns_of(columns, weights=weights, levels=np.zeros(n, dtype=np.int64))
        work = partial(cluster_robust, design, y, clusters, kind="CR2", contrasts=first)
        print(f"  {name:<52} {best(work):8.3f} s")


def main() -> None:
    hc2()
    cr2()
    cr2(n_clusters=1_000)


if __name__ == "__main__":
    main()
