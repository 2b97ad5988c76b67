"""The F statistic of the arms on covariates, for any number of arms and many draws at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kokeilu._kernels.imbalance import arm_totals

__all__ = ["PillaiF", "orthonormal", "pillai_f"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Ints = NDArray[np.int64]

RANK = 1e-9


class PillaiF(NamedTuple):
    """F and Pillai's trace of each draw (b,), and the degrees of freedom."""

    value: Floats
    trace: Floats
    df1: int
    df2: int


def orthonormal(columns: Floats) -> Floats:
    """Basis (n, r) of the space of standardised columns (n, p)."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    basis: Floats = left[:, values > RANK * values.max(initial=0.0)]
    return basis


def pillai_f(codes: Codes, basis: Floats, strata: Ints, arms: int) -> PillaiF:
    r"""F of Pillai's trace :math:`V = tr(T^{-1} H)`: two arms, the F of the arm on covariates beside stratum effects.

    H are the arms' indicators projected on the covariates, T their sums of squares within strata, m units in S strata,
    r covariates: :math:`F = V / (s - V) \cdot df_2 / df_1` with s = min(r, K - 1), df1 = r (K - 1) and
    df2 = s (m - S - (K - 1) - r + s).

    Parameters
    ----------
    codes : (b, units) int8 array
    basis : (units, r) array
        Orthonormal, with mean nought in each stratum.
    strata : (units,) array of codes 0..S-1
    arms : int

    Source: Pillai (1955), Ann. Math. Statist. 26.
    """
    units, rank, others = basis.shape[0], basis.shape[1], arms - 1
    n_strata = int(strata.max()) + 1
    smaller = min(rank, others)
    df1, df2 = rank * others, smaller * (units - n_strata - others - rank + smaller)
    totals = arm_totals(codes, basis, arms).reshape(len(codes), others, rank)
    inverse = np.linalg.pinv(_within(codes, strata, arms), rcond=1e-10, hermitian=True)
    trace = np.einsum("bkr,bkl,blr->b", totals, inverse, totals)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = trace / np.maximum(smaller - trace, 0.0) * (df2 / max(df1, 1))
    return PillaiF(np.nan_to_num(value, nan=0.0, posinf=np.inf), trace, df1, df2)


def _within(codes: Codes, strata: Ints, arms: int) -> Floats:
    """Sums of squares and products of the arms' indicators within strata, (b, K - 1, K - 1)."""
    sizes = np.bincount(strata).astype(np.float64)
    gather = sparse.csr_array((np.ones(len(strata)), (strata, np.arange(len(strata)))))
    counts = np.stack([np.asarray(gather @ (codes == k).T.astype(np.float64)).T for k in range(1, arms)], axis=1)
    products: Floats = -np.einsum("bks,bls->bkl", counts / sizes, counts)
    diagonal = np.arange(arms - 1)
    products[:, diagonal, diagonal] += counts.sum(axis=2)
    return products
