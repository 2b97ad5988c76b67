"""Variances of block-weighted effects where some blocks have no variance of their own.

A block whose arm has one unit (a person, or a cluster drawn whole) is small: it has an effect, but nothing within it
tells how that effect varies. Whatever the unit is, a block is told by its effect, its size and, where it is large, its
own variance, so that one set of formulas serves people and clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kokeilu.errors import EstimationError

__all__ = ["METHODS", "Blocks", "automatic", "block_variance", "plugged"]

Floats = NDArray[np.float64]

METHODS = ("hybrid_m", "hybrid_p", "plug_in", "all", "all_modified")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """What is known of B blocks; each array is (B,).

    Attributes
    ----------
    effect : difference in means in each block
    size : what the block counts for: people, or the sum of their weights
    variance : of the effect, from within the block; NaN where the block is small
    dof : degrees of freedom of that variance; ignored where the block is small
    """

    effect: Floats
    size: Floats
    variance: Floats
    dof: Floats

    @property
    def small(self) -> NDArray[np.bool_]:
        """Which blocks have no variance of their own."""
        return np.isnan(self.variance)

    @property
    def share(self) -> Floats:
        """Weights of the blocks; they add up to 1."""
        weights: Floats = self.size / self.size.sum()
        return weights


Parts = tuple[list[float], list[float]]
"""Independent parts of a variance, and the degrees of freedom of each."""


def automatic(blocks: Blocks) -> str:
    """The method that exists: hybrid_m where every size of small block occurs twice, else hybrid_p."""
    counts = np.unique(blocks.size[blocks.small], return_counts=True)[1]
    return "hybrid_m" if (counts >= 2).all() else "hybrid_p"


def block_variance(blocks: Blocks, method: str) -> tuple[float, float]:
    r"""Variance of :math:`\tau = \sum_b w_b \tau_b`, w_b = n_b / n, and its degrees of freedom.

    * "hybrid_m": large blocks by their own variance; small ones by class of equal size,
      :math:`(\sum n_b)^2 var(\tau_b) / K / n^2` for each class of K >= 2.
    * "hybrid_p": small blocks together, :math:`(n_s/n)^2 \sum c_b (\tau_b - \tau_s)^2` with
      :math:`c_b = n_b^2 / ((n_s - 2 n_b)(n_s + \sum_j n_j^2 / (n_s - 2 n_j)))`; needs every n_b below n_s / 2.
    * "all": :math:`\sum (n_b\tau_b - \bar n\tau)^2 / (B(B-1)\bar n^2)` over all blocks, large ones too; for pairs
      of clusters it is eq. 6 of Imai, King & Nall (2009). "all_modified":
      :math:`\sum n_b^2(\tau_b - \tau)^2 / (B(B-1)\bar n^2)`.

    hybrid_m, hybrid_p and "all" are conservative on average over a randomisation within blocks. Degrees of freedom
    combine the parts by Satterthwaite's rule: those of the large blocks, K - 1 for a class, the number of small
    blocks less one for hybrid_p, B - 1 for the last two.

    Raises
    ------
    EstimationError
        Where the method has no variance for these blocks.

    Source: Pashley & Miratrix (2021), sections 3.2 and 3.3; Schochet (2016) for "all" and "all_modified".
    """
    if method in ("all", "all_modified"):
        return _between_all(blocks, modified=method == "all_modified")
    parts, dofs = _large(blocks)
    small_parts, small_dofs = _by_class(blocks) if method == "hybrid_m" else _together(blocks)
    variances, freedom = np.array(parts + small_parts), np.array(dofs + small_dofs)
    denominator = float((variances**2 / freedom).sum())
    total = float(variances.sum())
    return total, total**2 / denominator if denominator > 0.0 else float(freedom.sum())


def _large(blocks: Blocks) -> Parts:
    own = ~blocks.small
    if not own.any():
        return [], []
    part = blocks.share[own] ** 2 * blocks.variance[own]
    # A variance of nought says nothing of its degrees of freedom; one keeps the ratio below defined.
    varies = part > 0.0
    denominator = float((part[varies] ** 2 / blocks.dof[own][varies]).sum())
    return [float(part.sum())], [float(part.sum() ** 2 / denominator) if denominator > 0.0 else 1.0]


def _by_class(blocks: Blocks) -> Parts:
    small, parts, dofs = blocks.small, [], []
    for size in np.unique(blocks.size[small]):
        members = small & (blocks.size == size)
        count = int(members.sum())
        if count < 2:
            raise EstimationError(
                f"hybrid_m has no variance here: one small stratum alone is of the size {size:g}, and only strata of "
                "equal size are compared. Use small='hybrid_p', or merge that stratum with another."
            )
        parts.append(float(blocks.share[members].sum() ** 2 * blocks.effect[members].var(ddof=1) / count))
        dofs.append(float(count - 1))
    return parts, dofs


def _together(blocks: Blocks) -> Parts:
    small = blocks.small
    if not small.any():
        return [], []
    share, effect = blocks.share[small], blocks.effect[small]
    whole = share.sum()
    # The factor n_s - 2 n_b must be positive; a rounding of a few ulp is not.
    if 2.0 * share.max() >= whole * (1.0 - 1e-12):
        raise EstimationError(
            f"{effect.size} of the strata have an arm with one unit only, they are not of equal sizes, and one of them "
            "holds half or more of their people: no variance can be had within or between such strata. "
            "Merge strata, or use Regression."
        )
    factor = share**2 / (whole - 2.0 * share)
    weight = whole**2 * factor / (whole + factor.sum())
    centre = (share * effect).sum() / whole
    return [float((weight * (effect - centre) ** 2).sum())], [float(effect.size - 1)]


def _between_all(blocks: Blocks, *, modified: bool) -> tuple[float, float]:
    count = blocks.effect.size
    if count < 2:
        raise EstimationError("a variance between strata needs at least two of them.")
    value = float(blocks.share @ blocks.effect)
    mean = blocks.size.mean()
    gaps = blocks.size * (blocks.effect - value) if modified else blocks.size * blocks.effect - mean * value
    return float((gaps**2).sum() / (count * (count - 1.0) * mean**2)), count - 1.0


def plugged(count: Floats, variance: Floats) -> Floats:
    """Variances of the means (B, 2), each missing one taken from the large blocks of the same arm ("plug-in").

    Parameters
    ----------
    count : (B, 2) array
        Units (people, or clusters) in each block and arm.
    variance : (B, 2) array
        Of the mean; NaN where the arm has one unit. The mean of ``variance * count`` over the blocks that are large in
        both arms stands in. It is not conservative where small blocks vary more than large ones.

    Raises
    ------
    EstimationError
        Where no block is large.

    Source: Pashley & Miratrix (2021), section 3.1.
    """
    large = ~np.isnan(variance).any(axis=1)
    if not large.any():
        raise EstimationError("plug_in has no variance to take over: every stratum has an arm with one unit only.")
    typical = (variance * count)[large].mean(axis=0)
    filled: Floats = np.where(np.isnan(variance), typical / count, variance)
    return filled
