"""The made-up register: the same rows for the same seed, the stated shape, nothing that could be a person."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kokeilu.datasets import job_seekers
from kokeilu.datasets.places import places
from kokeilu.errors import DesignError, SeedError

SOME = job_seekers(seed="test")
GOLDEN = ("JS-000001", "Tampere 5", 26, 0)


def test_the_same_seed_gives_the_same_rows() -> None:
    pd.testing.assert_frame_equal(job_seekers(500, seed="a"), job_seekers(500, seed="a"))


def test_another_seed_gives_other_rows() -> None:
    assert not job_seekers(500, seed="a").equals(job_seekers(500, seed="b"))


def test_golden_rows() -> None:
    """The first rows for one seed, so that a changed generator does not go unnoticed."""
    row = job_seekers(50, seed="golden").iloc[0]
    assert (row["person_id"], row["employment_office"], row["age"], row["months_unemployed"]) == GOLDEN


@pytest.mark.parametrize("n", [1, 2, 7, 39_500])
def test_the_number_of_rows(n: int) -> None:
    table = job_seekers(n, seed=n)
    assert len(table) == n
    assert table["person_id"].is_unique


def test_ids_are_plain_numbers_and_sorted() -> None:
    assert SOME["person_id"].str.fullmatch(r"JS-\d{6}").all()
    assert SOME["person_id"].is_monotonic_increasing


@pytest.mark.parametrize("column", ["region", "household_id", "age", "months_unemployed", "immigrant"])
def test_the_order_tells_nothing(column: str) -> None:
    """Neighbours are no more alike than strangers: the rank correlation of consecutive rows is near 0."""
    codes = pd.Series(pd.factorize(SOME[column], sort=True)[0])
    assert abs(codes.corr(codes.shift(1))) < 4 / np.sqrt(len(SOME))


def test_region_sizes() -> None:
    share = SOME["region"].value_counts(normalize=True)
    assert len(share) == 8
    assert share["Pirkanmaa"] * 39_500 == pytest.approx(22_000, rel=0.02)
    assert share.drop("Pirkanmaa").max() < 0.15


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("employment_office", "municipality"),
        ("municipality", "region"),
        ("household_id", "employment_office"),
    ],
)
def test_nesting(inner: str, outer: str) -> None:
    assert (SOME.groupby(inner)[outer].nunique() == 1).all()


def test_offices() -> None:
    sizes = SOME["employment_office"].value_counts()
    assert len(sizes) == len(places().offices) == 94
    assert sizes.max() > 5 * sizes.min()
    assert (SOME.groupby("region")["employment_office"].nunique() >= 4).all()


def test_the_shares_of_offices_sum_to_one() -> None:
    assert places().weights.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [("long_term", 0.30, 0.42), ("under_25", 0.12, 0.17), ("immigrant", 0.12, 0.14)],
)
def test_target_groups(column: str, low: float, high: float) -> None:
    assert low < SOME[column].mean() < high


def test_columns_agree_with_each_other() -> None:
    assert (SOME["long_term"] == (SOME["months_unemployed"] > 12)).all()
    assert (SOME["under_25"] == (SOME["age"] < 25)).all()
    assert SOME["age"].between(18, 64).all()
    assert SOME["employment_days_prior"].between(0, 730).all()
    assert SOME["spell_days"].between(1, (SOME["months_unemployed"] + 1) * 31).all()
    assert ((SOME["employment_days_prior"] == 0) <= (SOME["earnings_prior"].fillna(0) == 0)).all()


def test_only_two_columns_have_gaps() -> None:
    gaps = SOME.isna().mean()
    assert set(gaps[gaps > 0].index) == {"education", "earnings_prior"}
    assert gaps.max() < 0.05


def test_some_households_are_shared() -> None:
    size = SOME["household_id"].value_counts()
    assert size.max() == 3
    assert 0.10 < size[SOME["household_id"]].gt(1).mean() < 0.25


def test_more_people_can_be_made_with_wider_ids() -> None:
    assert job_seekers(12, seed=1)["person_id"].str.len().eq(9).all()


@pytest.mark.parametrize("n", [0, -3, 2.5, True])
def test_a_number_of_people_that_is_none(n: object) -> None:
    with pytest.raises(DesignError, match="n must be"):
        job_seekers(n, seed=1)  # type: ignore[arg-type]


def test_a_seed_is_needed() -> None:
    with pytest.raises(SeedError, match="seed must be"):
        job_seekers(10, seed=None)
