"""Which columns of a view an estimator asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kokeilu.core.protocols import Floats
from kokeilu.core.view import View
from kokeilu.errors import ColumnError, DesignError

__all__ = ["chosen_columns", "flag", "matrix_of"]


def chosen_columns(view: View, covariates: Sequence[str]) -> tuple[int, ...]:
    """Return the positions of covariates in a view, with the indicators of their levels and gaps.

    Raises
    ------
    ColumnError
        For a covariate that the view does not hold, unless a note says that it does not vary.
    """
    chosen: list[int] = []
    for name in covariates:
        own = [
            position
            for position, label in enumerate(view.covariate_names)
            if label == name or label.startswith(f"{name}: ") or label == f"{name} (missing)"
        ]
        if not own and not any(repr(name) in note or f"'{name}: " in note for note in view.notes):
            raise ColumnError(f"covariate {name!r} is not in this view. Align it with covariates={list(covariates)!r}.")
        chosen += own
    return tuple(chosen)


def matrix_of(view: View, covariates: Sequence[str], rows: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
    """Return these covariates of some rows, (m, p), centred and with deviation 1 or 0."""
    x = view.covariates[:, list(chosen_columns(view, covariates))][rows]
    x = x - x.mean(axis=0)
    scale = np.sqrt((x**2).mean(axis=0))
    result: Floats = x / np.where(scale > 0.0, scale, 1.0)
    return result


def flag(value: object, name: str) -> None:
    """Refuse what is not True or False."""
    if not isinstance(value, bool):
        raise DesignError(f"{name} must be True or False; got {type(value).__name__}.")
