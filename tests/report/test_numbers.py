from __future__ import annotations

import datetime

import pytest

from kokeilu.report.numbers import DASH, Numbers, decimals_for, numbers_in, tells_number
from kokeilu.report.texts import texts_in

ENGLISH = numbers_in(texts_in("en"))
FINNISH = Numbers(decimal=",", group="\u00a0", minus="\u2212", percentage="{number}\u00a0%", day="{day}.{month}.{year}")


@pytest.mark.parametrize(
    ("value", "decimals", "english", "finnish"),
    [
        (1234567.891, 2, "1,234,567.89", "1\u00a0234\u00a0567,89"),
        (-0.5, 1, "\u22120.5", "\u22120,5"),
        (-0.0004, 3, "0.000", "0,000"),
        (39500, 0, "39,500", "39\u00a0500"),
        (float("nan"), 2, DASH, DASH),
        (None, 0, DASH, DASH),
        (float("inf"), 0, DASH, DASH),
    ],
)
def test_numbers(value: float | None, decimals: int, english: str, finnish: str) -> None:
    assert ENGLISH.fixed(value, decimals) == english
    assert FINNISH.fixed(value, decimals) == finnish


@pytest.mark.parametrize(
    ("p", "written"),
    [(0.0, "<0.001"), (0.00049, "<0.001"), (0.0005, "0.001"), (0.0496, "0.050"), (1.0, "1.000"), (None, DASH)],
)
def test_a_p_value_is_rounded_and_never_0(p: float | None, written: str) -> None:
    assert ENGLISH.p(p) == written


def test_percentages_and_days() -> None:
    day = datetime.date(2026, 3, 4)
    assert (ENGLISH.percent(0.125, 1), FINNISH.percent(0.12)) == ("12.5%", "12\u00a0%")
    assert (ENGLISH.date(day), FINNISH.date(day)) == ("4 March 2026", "4.3.2026")


@pytest.mark.parametrize(
    ("error", "decimals"), [(671.0, 0), (12.3, 0), (4.9, 1), (0.012, 3), (1e-9, 6), (0.0, 3), (float("nan"), 3)]
)
def test_decimals_show_two_figures_of_the_error(error: float, decimals: int) -> None:
    assert decimals_for(error) == decimals


@pytest.mark.parametrize(
    ("n", "decimals", "factor", "tells"),
    [(18, 0, 100.0, True), (18, 1, 1.0, False), (20_000, 2, 100.0, False), (999, 3, 1.0, True), (1_000, 3, 1.0, False)],
)
def test_a_rounded_mean_tells_how_many(n: int, decimals: int, factor: float, tells: bool) -> None:
    assert tells_number(n, decimals, factor=factor) is tells
