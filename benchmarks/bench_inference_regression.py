"""Regression at register size: CR2, CR3 with absorbed strata, Lin, beside pyfixest, statsmodels and estimatr.

Through the public `Regression` on an aligned view, with as many threads as BLAS takes. Memory: the columns once or
twice in float64 (n x k x 8 bytes), and k for each cluster and contrast. A peer that is not installed is named.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench_estimate import best, data, view_of

from kokeilu.core.view import View
from kokeilu.estimate.regression import Regression

NAMES = tuple(f"x{j}" for j in range(10))


def line(name: str, seconds: float, own: float | None = None, budget: float | None = None) -> None:
    beside = "" if own is None else f"   {seconds / own:8.1f} times kokeilu"
    within = "" if budget is None else f"   budget {budget:.2f} s: {'met' if seconds <= budget else 'NOT met'}"
    print(f"  {name:<56} {seconds:9.3f} s{beside}{within}")


def clustered(n: int, n_clusters: int) -> tuple[View, pd.DataFrame]:
    x, _, y = data(n, 10, f"clusters {n_clusters}")
    clusters = np.arange(n) * 7919 % n_clusters
    codes = (clusters % 2).astype(np.int8)
    view = replace(view_of(x, codes, y + codes), clusters=clusters)
    return view, pd.DataFrame(x, columns=list(NAMES)).assign(arm=codes.astype(float), cluster=clusters, y=view.y)


def formula(names: tuple[str, ...] = NAMES) -> str:
    return "y ~ arm + " + " + ".join(names)


def pyfixest(name: str, call: Callable[[Any], Any], own: float) -> None:
    try:
        import pyfixest as pf
    except ImportError:
        print(f"  {name}: pyfixest is not installed (extra 'bench')")
        return
    call(pf)  # compiled beforehand
    line(name, best(lambda: call(pf)), own)


def estimatr(frame: pd.DataFrame, own: float) -> None:
    """R's estimatr, where Debian's r-cran-estimatr is installed: CR2 with its degrees of freedom."""
    program = shutil.which("Rscript")
    if program is None or subprocess.run([program, "-e", "library(estimatr)"], capture_output=True).returncode:
        print("  estimatr lm_robust(se_type='CR2'): R or r-cran-estimatr is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        frame.to_csv(path, index=False)
        code = (
            f"library(estimatr); d <- read.csv('{path}'); s <- system.time(lm_robust({formula()}, d, clusters=cluster, "
            "se_type='CR2')); cat(s[['elapsed']])"
        )
        done = subprocess.run([program, "-e", code], capture_output=True, text=True, check=True)
    line("estimatr lm_robust(..., se_type='CR2')", float(done.stdout), own)


def cr2(n: int, n_clusters: int, budget: float, *, peer: bool) -> None:
    print(f"CR2 with Satterthwaite's degrees of freedom, n = {n:,}, {n_clusters:,} clusters, arm and 10 covariates")
    view, frame = clustered(n, n_clusters)
    spec, interacted = Regression(covariates=NAMES, interacted=False), Regression(covariates=NAMES)
    own = best(lambda: spec.estimate(view))
    line("kokeilu Regression(interacted=False)", own, budget=budget)
    line("kokeilu Regression() (Lin, twice the columns)", best(lambda: interacted.estimate(view)), own)
    weights = 0.5 + view.covariates[:, 0]
    weighted = replace(view, weights=weights / weights.mean())
    line("the same without slopes by arm, with weights", best(lambda: spec.estimate(weighted)), own)
    strata = replace(view, strata=frame["cluster"].to_numpy() // 2 * 20 // n_clusters)
    line("the same without slopes by arm, with strata", best(lambda: spec.estimate(strata)), own)
    if peer:
        estimatr(frame, own)
    pyfixest(
        "pyfixest feols(vcov={'CRV1': ...}): no CR2",
        lambda pf: pf.feols(formula(), frame, vcov={"CRV1": "cluster"}),
        own,
    )


def cr3(n: int = 100_000, n_clusters: int = 1_000, n_levels: int = 200) -> None:
    """CR3 with absorbed levels that cross the clusters (people within clusters), and with strata of clusters."""
    print(f"CR3, n = {n:,}, {n_clusters:,} clusters, {n_levels} absorbed strata, arm and 10 covariates")
    view, frame = clustered(n, n_clusters)
    levels = np.arange(n) // 7 % n_levels
    codes = (view.covariates[:, 9] < 0.5).astype(np.int8)
    crossed = replace(view, codes=codes, strata=levels, whole=False)
    spec = Regression(covariates=NAMES[:9], interacted=False, errors="CR3")
    own = best(lambda: spec.estimate(crossed))
    line("kokeilu Regression(errors='CR3'), strata cross clusters", own, budget=0.5)
    nested = replace(view, strata=frame["cluster"].to_numpy() // 5)
    line("kokeilu Regression(errors='CR3'), clusters within strata", best(lambda: spec.estimate(nested)), own)
    frame = frame.assign(arm=codes.astype(float), level=levels)
    few = NAMES[:9]
    small = frame[frame["cluster"] < 50]
    print("  (pyfixest refits once for each cluster: run on 50 clusters, 5,000 rows; 113 s for all of them)")
    pyfixest(
        "pyfixest feols(y ~ ... | level, vcov={'CRV3': ...}), 1/20",
        lambda pf: pf.feols(f"{formula(few)} | level", small, vcov={"CRV3": "cluster"}),
        own,
    )


def lin(n: int = 1_000_000) -> None:
    print(f"Lin with HC2, n = {n:,}, 10 covariates, two arms")
    x, codes, y = data(n, 10, "lin")
    view = view_of(x, codes, y)
    own = best(lambda: Regression(covariates=NAMES).estimate(view))
    line("kokeilu Regression()", own, budget=1.0)
    hc4 = Regression(covariates=NAMES, errors="HC4")
    line("kokeilu Regression(errors='HC4')", best(lambda: hc4.estimate(view)), own)
    centred = x - x.mean(axis=0)
    columns = np.column_stack([np.ones(n), codes, centred, centred * codes[:, None]])
    import statsmodels.api as sm

    line("statsmodels OLS(arrays).fit(cov_type='HC2')", best(lambda: sm.OLS(y, columns).fit(cov_type="HC2")), own)


def main() -> None:
    cr2(100_000, 50, 0.15, peer=False)
    cr2(100_000, 1_000, 0.15, peer=True)
    cr2(1_000_000, 1_000, 1.5, peer=False)
    cr3()
    lin()


if __name__ == "__main__":
    main()
