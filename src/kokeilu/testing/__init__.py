"""Laws that every mechanism keeps, and Hypothesis strategies, for those who add one.

In the tests of a new mechanism::

    from kokeilu.testing import check_mechanism, registers

    def test_laws() -> None:
        check_mechanism(MyMechanism(...), register)
"""

from kokeilu.testing.laws import LAWS, check_mechanism, exact_marginals, mechanism_laws
from kokeilu.testing.strategies import designs, registers, share_lists

__all__ = ["LAWS", "check_mechanism", "designs", "exact_marginals", "mechanism_laws", "registers", "share_lists"]
