"""Wild cluster bootstrap beside wildboottest, and all 2**20 vectors of weights."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kokeilu._kernels.linear import columns_of
from kokeilu._kernels.streams import Seed
from kokeilu._kernels.wild import Wild, all_vectors, by_cluster, drawn_vectors, wild

REPEATS = 3
DRAWS = 9_999


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the fastest of a few runs, and what the last one gave."""
    seconds, found = [], None
    for _ in range(REPEATS):
        start = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), found


def data(n: int, n_clusters: int, k: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return arm and k covariates, outcomes and clusters in no order."""
    doubles = Seed.of(f"bench {n} {n_clusters}").stream("wild").doubles(n, k + 2)
    clusters = np.floor(doubles[:, 0] * n_clusters).astype(np.int64)
    clusters[:n_clusters] = np.arange(n_clusters)
    shared = Seed.of("bench").stream("shared").doubles(1, n_clusters)[0][clusters]
    columns = np.column_stack([clusters % 2, doubles[:, 1 : k + 1]])
    return columns, columns[:, 1] + shared + doubles[:, k + 1], clusters


def own(columns: np.ndarray, y: np.ndarray, clusters: np.ndarray, *, every: bool, jackknife: bool = False) -> Wild:
    """Fit, sum up, and go through the vectors."""
    n_clusters = int(clusters.max()) + 1
    design = columns_of(columns, levels=np.zeros(y.size, dtype=np.int64))
    stream = Seed.of("bench").stream("vectors")
    vectors = all_vectors("Rademacher", n_clusters) if every else drawn_vectors("Rademacher", n_clusters, stream, DRAWS)
    contrast = np.eye(columns.shape[1])[:1]
    law = wild(by_cluster(design, y, clusters), contrast, vectors, all_of_them=every, jackknife=jackknife)[0]
    law.p_value()
    return law


def peer(columns: np.ndarray, y: np.ndarray, clusters: np.ndarray) -> tuple[float, float] | None:
    """Seconds and p-value of wildboottest, compiled beforehand; None where it is not installed."""
    try:
        from wildboottest.wildboottest import WildboottestCL
    except ImportError:
        print("  wildboottest is not installed (extra 'bench')")
        return None

    def run() -> float:
        table = np.column_stack([np.ones(y.size), columns])
        restriction = np.zeros(table.shape[1])
        restriction[1] = 1.0
        boot = WildboottestCL(X=table, Y=y, cluster=clusters, R=restriction, B=DRAWS, seed=1)
        boot.get_scores(bootstrap_type="11", impose_null=True)
        boot.get_weights(weights_type="rademacher")
        boot.get_numer()
        boot.get_denom()
        boot.get_tboot()
        boot.get_vcov()
        boot.get_tstat()
        boot.get_pvalue(pval_type="two-tailed")
        return float(np.ravel(boot.pvalue)[0])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run()
        seconds, p = best(run)
    return seconds, p


def compare(n: int, n_clusters: int) -> None:
    """Time both on the same rows."""
    print(f"B = {DRAWS:,}, n = {n:,}, {n_clusters:,} clusters, arm and 10 covariates, null imposed")
    rows = data(n, n_clusters)
    seconds, law = best(partial(own, *rows, every=False))
    print(f"  {'kokeilu, fit and p-value':<48} {seconds:8.3f} s   p = {law.p_value():.4f}")
    start = time.perf_counter()
    low, high = law.interval(0.05)
    print(f"  {'kokeilu, interval by inversion':<48} {time.perf_counter() - start:8.3f} s   ({low:.4f}, {high:.4f})")
    print(f"  {'kokeilu, type 31':<48} {best(partial(own, *rows, every=False, jackknife=True))[0]:8.3f} s")
    found = peer(*rows)
    if found:
        print(
            f"  {'wildboottest, type 11':<48} {found[0]:8.3f} s   p = {found[1]:.4f}   {found[0] / seconds:6.1f} times"
        )


def enumerate_all(n: int = 20_000, n_clusters: int = 20) -> None:
    """Go through every vector of weights."""
    print(f"all 2**{n_clusters} vectors, n = {n:,}")
    rows = data(n, n_clusters)
    seconds, law = best(partial(own, *rows, every=True))
    print(f"  {'kokeilu, fit and p-value':<48} {seconds:8.3f} s   p = {law.p_value():.6f}, strict {strict(law):.6f}")
    start = time.perf_counter()
    law.interval(0.05)
    print(f"  {'kokeilu, interval by inversion':<48} {time.perf_counter() - start:8.3f} s")


def strict(law: Wild) -> float:
    return law.p_value(strict=True)


def main() -> None:
    compare(100_000, 50)
    compare(100_000, 1_000)
    enumerate_all()


if __name__ == "__main__":
    main()
