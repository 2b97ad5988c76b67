"""Laws that every mechanism and every estimator keeps, and Hypothesis strategies, for those who add one.

In the tests of a new mechanism::

    from kokeilu.testing import check_mechanism, registers

    def test_laws() -> None:
        check_mechanism(MyMechanism(...), register)

and in those of a new estimator, with potential outcomes for a small register::

    from kokeilu.testing import Trial, check_estimator

    def test_laws() -> None:
        check_estimator(MyEstimator(...), Trial(mechanism=..., register=..., potential=...))
"""

from kokeilu.testing.estimators import ESTIMATOR_LAWS, Trial, check_estimator
from kokeilu.testing.laws import LAWS, BrokenLaw, check_mechanism, exact_marginals, mechanism_laws
from kokeilu.testing.strategies import designs, registers, share_lists

__all__ = [
    "ESTIMATOR_LAWS",
    "LAWS",
    "BrokenLaw",
    "Trial",
    "check_estimator",
    "check_mechanism",
    "designs",
    "exact_marginals",
    "mechanism_laws",
    "registers",
    "share_lists",
]
