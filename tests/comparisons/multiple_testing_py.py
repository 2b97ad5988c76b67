"""Sharpened q-values on a grid of 0.001."""

from __future__ import annotations

import kokeilu as kk
from comparisons.common import Case, close

SKIPPED: dict[str, str] = {}


def run(case: Case) -> None:
    found = kk.SharpenedQ(step=case["inputs"]["grid"]).adjust(case["inputs"]["p"])
    for mine, theirs in zip(found, case["results"]["q"], strict=True):
        close(case, mine, theirs)
