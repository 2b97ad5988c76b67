"""Words and numbers that once misled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import kokeilu as kk
from kokeilu.errors import DesignError

EVEN = kk.arms(control=1, coaching=1)


def people(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame({"id": np.arange(n), "x": rng.normal(size=n), "y": rng.normal(size=n)})


def test_people_in_an_arm_that_has_no_share_are_a_breach() -> None:
    found = kk.check_counts({"control": 500, "coaching": 498, "closed": 1}, {"control": 1, "coaching": 1, "closed": 0})
    assert [(b.arm, b.most, b.observed) for b in found.breaches] == [("closed", 0, 1)]
    assert "breach: the draw gives some arms no units" in str(found)
    assert "breach" not in str(kk.check_counts({"control": 500, "coaching": 498}, EVEN))


def test_small_counts_are_exact() -> None:
    found = kk.check_counts({"control": 1, "coaching": 9}, EVEN)
    assert found.ratio is not None
    assert found.ratio.method == "exact multinomial"
    assert found.ratio.p_value == pytest.approx(stats.binomtest(1, 10).pvalue)
    with pytest.raises(DesignError, match="nobody was counted"):
        kk.check_counts({"control": 0, "coaching": 0}, EVEN)


def test_an_arm_without_outcomes_leaves_no_error() -> None:
    table = people()
    drawn = kk.randomise(table[["id", "x"]], kk.Complete(EVEN), id="id", seed="review")
    treated = np.asarray(drawn.codes) == 1  # the ids are in order already
    table.loc[treated, "y"] = np.nan
    found = kk.check_attrition(drawn, table, "y", draws=99)
    assert found.arms[1].difference == pytest.approx(-1.0)
    assert found.arms[1].detectable is None
    assert found.levels_model is None or found.levels_model.statistic is None
    assert "F =" not in str(found)
    assert found.joint.p_value == pytest.approx(0.01)


def test_where_everybody_answers_no_difference_is_called_detectable() -> None:
    table = people()
    drawn = kk.randomise(table[["id", "x"]], kk.Complete(EVEN), id="id", seed="review")
    assert kk.check_attrition(drawn, table, "y", draws=9).arms[1].detectable is None
