"""Exact tests of thousands, where coin 1.4-2 overflows and exactRankTests 0.8-35 returns 0."""

from __future__ import annotations

from comparisons.common import Case, close, table_of
from comparisons.exact_permutation import exact_p

SKIPPED: dict[str, str] = {}


def run(case: Case) -> None:
    """Compare one case: the sum and its law through the public test."""
    wanted = case["results"]
    frame = table_of(case).sort_values("id").head(wanted["n"])
    y, z = frame["inuidur1"], frame["tg"] == 4
    strata = frame["quarter"] if "strata" in case["inputs"] else None
    assert (len(z), int(z.sum()), int(y[z].sum())) == (wanted["n"], wanted["m"], wanted["T"])
    for alternative, key in (("two-sided", "p_two_sided"), ("greater", "p_greater"), ("less", "p_less")):
        result = exact_p(y, z, strata, alternative)
        assert result.exact
        assert "exact law" in result.reason
        close(case, result.p_value, wanted[key])
        # The stored values carry the rounding of their sums, some 1e-13; so would ours.
        close(case, result.p_value, wanted[key], rtol=1e-9)
