"""Anything with fit and predict, used with care: copied, seeded, checked, and never quoted."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kokeilu._kernels import linear
from kokeilu._kernels.streams import Stream
from kokeilu.core.protocols import Floats
from kokeilu.core.registry import register
from kokeilu.errors import DesignError, EstimationError

__all__ = ["LeastSquares", "check_learner", "learn"]


class _Line(NamedTuple):
    """A fitted line."""

    constant: float
    slopes: Floats

    def predict(self, x: Floats) -> Floats:
        """Predict rows."""
        result: Floats = self.constant + x @ self.slopes
        return result


@register("LeastSquares")
@dataclass(frozen=True, slots=True)
class LeastSquares:
    """Least squares with a constant; columns that the others already tell are left out.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(4.0)[:, None]
    >>> LeastSquares().fit(x, 2.0 * x[:, 0] + 1.0).predict(np.array([[10.0]])).round(6)
    array([21.])
    """

    def fit(self, x: Floats, y: Floats) -> _Line:
        """Fit y (n,) on x (n, p), and return what predicts."""
        fitted = linear.fit(linear.columns_of(x, levels=np.zeros(y.size, dtype=np.int64)), y)
        return _Line(float(y.mean() - x.mean(axis=0) @ fitted.coef), fitted.coef)


def check_learner(learner: object) -> None:
    """Refuse what cannot fit and predict."""
    if isinstance(learner, type):
        raise DesignError(f"learner is the class {learner.__name__}; give an instance: {learner.__name__}().")
    predicts = callable(getattr(learner, "predict", None)) or isinstance(learner, LeastSquares)
    if not callable(getattr(learner, "fit", None)) or not (predicts or hasattr(type(learner), "__dataclass_fields__")):
        raise DesignError(
            "learner must have fit(x, y) and predict(x), as in scikit-learn, or fit(x, y) must return what predicts; "
            f"got {type(learner).__name__}."
        )


def learn(learner: Any, x: Floats, y: Floats, new: Floats, stream: Stream) -> Floats:
    """Fit a copy of a learner on (x, y) and predict new rows, (m,).

    Parts that draw random numbers and were given no seed (`random_state=None`) get one of the stream. Where the learner
    has `predict_proba` the outcome must be 0 or 1, and the probability of 1 is taken.

    Raises
    ------
    EstimationError
        Where the learner fails, or predicts something that is not one finite number for each person. What it said is
        not passed on, for it may quote a row.
    """
    classifies = hasattr(learner, "predict_proba")
    if classifies and not bool(np.isin(y, (0.0, 1.0)).all()):
        raise EstimationError(
            f"the learner {type(learner).__name__} has predict_proba, so it is for outcomes of 0 and 1, and this "
            "outcome has other values. Take the regressor of that family."
        )
    if classifies and float(np.ptp(y)) == 0.0:
        return np.full(new.shape[0], float(y[0]))
    found, trouble = _attempt(learner, x, y, new, _seed(stream), classifies=classifies)
    if trouble:
        raise EstimationError(
            f"the learner {type(learner).__name__} failed with {trouble} on {x.shape[0]:,} people and {x.shape[1]:,} "
            "columns. Try it alone on these columns, take fewer folds, or LeastSquares()."
        )
    if found.shape != (new.shape[0],) or not bool(np.isfinite(found).all()):
        raise EstimationError(
            f"the learner {type(learner).__name__} predicted something of shape {found.shape} for {new.shape[0]:,} "
            "people, or numbers that are not finite. predict(x) must return one finite number for each row."
        )
    return found


def _seed(stream: Stream) -> int:
    return int(stream.words(1, 1)[0, 0] >> np.uint64(33))


def _attempt(learner: Any, x: Floats, y: Floats, new: Floats, seed: int, *, classifies: bool) -> tuple[Floats, str]:
    """Predictions, or the name of what went wrong."""
    try:
        own = copy.deepcopy(learner)
        if hasattr(own, "get_params") and hasattr(own, "set_params"):
            loose = [k for k, v in own.get_params().items() if k.split("__")[-1] == "random_state" and v is None]
            own.set_params(**dict.fromkeys(loose, seed))
        fitted = own.fit(x, y)
        fitted = own if fitted is None else fitted
        raw = fitted.predict_proba(new)[:, 1] if classifies else fitted.predict(new)
        return np.array(raw, dtype=np.float64), ""
    except Exception as error:  # noqa: BLE001 (a foreign learner may raise anything, and quote rows in it)
        return np.empty(0), type(error).__name__
