"""Keep what a calibration found as a line of JSON, from which the table of docs/validation.md is made."""

from __future__ import annotations

import json
import os
from pathlib import Path


def record(
    *,
    topic: str,
    design: str,
    method: str,
    outcome: str,
    replications: int,
    reason: str = "",
    rejections: float | None = None,
    coverage: float | None = None,
) -> None:
    """Append one setting: the share of 5 % tests that reject a true null, and of 95 % intervals that cover.

    `reason` says why a setting may lie outside the band (3.5-6.5 %, at least 93.5 %).
    """
    _append(
        topic=topic,
        design=design,
        method=method,
        outcome=outcome,
        replications=replications,
        rejections=rejections,
        coverage=coverage,
        reason=reason,
    )


def record_deviation(*, topic: str, design: str, what: str, replications: int, found: float, allowed: float) -> None:
    """Append one comparison of a simulation with a statement: how far they differ, and how far they may."""
    _append(topic=topic, design=design, what=what, replications=replications, found=found, allowed=allowed)


def _append(**line: str | float | None) -> None:
    path = os.environ.get("KOKEILU_VALIDATION")
    if not path:
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "").removesuffix(" (call)")
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"test": test, **line}) + "\n")
