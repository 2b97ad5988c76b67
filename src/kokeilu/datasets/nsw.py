"""The National Supported Work trial: a real randomised trial with job seekers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kokeilu.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["nsw"]

_WHOLE = ("treat", "age", "educ", "black", "hisp", "marr", "nodegree")
_EARNINGS = ("re74", "re75", "re78")


def nsw() -> pd.DataFrame:
    """Return the National Supported Work trial (men, Dehejia-Wahba sample) from the package ``causaldata``.

    Returns
    -------
    DataFrame, 445 rows (185 treated, 260 control), no missing values

        ==================== ==========================================================
        id                   1-445, the row of the source file
        treat                1 offered supported work, 0 not
        age, educ            whole years
        black, hisp, marr    0 or 1
        nodegree             1 without a high-school degree
        re74, re75, re78     earnings in 1974, 1975 (before) and 1978 (after), dollars
        ==================== ==========================================================

    Raises
    ------
    DataError
        Where ``causaldata`` is not installed.

    Notes
    -----
    The allocation was drawn by site and month, which the file does not hold; it is customarily analysed as a
    complete randomisation. The file stores earnings in single precision; each is read as the shortest decimal
    number that it stands for (9930.046, not 9930.0458984375), which is how the trial's data were published.

    References
    ----------
    LaLonde (1986), "Evaluating the econometric evaluations of training programs with experimental data",
    American Economic Review 76. Dehejia & Wahba (1999), "Causal effects in nonexperimental studies", JASA 94.

    Examples
    --------
    >>> from kokeilu.datasets import nsw
    >>> men = nsw()
    >>> men.groupby("treat")["re78"].mean().round(2).to_dict()
    {0: 4554.8, 1: 6349.14}
    """
    import pandas as pd

    missing = False
    try:
        from causaldata import nsw_mixtape
    except ImportError:
        missing = True
    if missing:
        raise DataError(
            "the National Supported Work trial ships with the package causaldata, which is not installed. "
            "Install it with: pip install 'kokeilu[examples]'."
        )
    table: pd.DataFrame = nsw_mixtape.load_pandas().data
    columns = {name: table[name].to_numpy(dtype=np.int64) for name in _WHOLE}
    earnings = {name: _published(table[name]) for name in _EARNINGS}
    return pd.DataFrame({"id": range(1, len(table) + 1), **columns, **earnings})


def _published(single: pd.Series[float]) -> list[float]:
    """Return the shortest decimals that round to these single-precision numbers, as doubles."""
    return [float(str(value)) for value in single.to_numpy(dtype=np.float32)]
