from __future__ import annotations

import pytest

import kokeilu as kk
from kokeilu.errors import DesignError

DRAWN = kk.randomise({"id": [1, 2, 3, 4]}, kk.Complete(kk.arms(a=1, b=1)), id="id", seed="x")


def test_an_assignment_is_no_lottery():
    for action in (lambda: kk.redraws(DRAWN, DRAWN.stream("x"), 5), lambda: kk.all_assignments(DRAWN)):
        with pytest.raises(DesignError, match="a lottery is needed, such as assignment.lottery; got Assignment"):
            action()


def test_a_bad_request_is_refused_before_the_first_draw_is_asked_for():
    with pytest.raises(DesignError, match="stream must be a stream, such as assignment.stream"):
        kk.redraws(DRAWN.lottery, "x", 5)
    with pytest.raises(DesignError, match="the number of redraws must be at least 1"):
        kk.redraws(DRAWN.lottery, DRAWN.stream("x"), 0)
