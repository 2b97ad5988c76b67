"""Randomisation tests: exact size by enumeration, intervals by brute force, and values of other software."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu._kernels.batched import residualised, studentised
from kokeilu.core.assignment import Assignment
from kokeilu.core.lottery import all_assignments, cells_of
from kokeilu.errors import DesignError, EstimationError

HERE = Path(__file__).parents[1] / "reference"
DATA = Path(__file__).parents[3] / "shared" / "reference" / "data"
CASES = {case["id"]: case for case in json.loads((HERE / "randomisation.json").read_text(encoding="utf-8"))}

TWO = kk.arms(control=1, coaching=1)
THREE = kk.arms(control=1, coaching=1, letter=1)


def read(name: str) -> pd.DataFrame:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the reference data set {name} is not here")
    return pd.read_csv(path)


def people(n: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"id": np.arange(n), "y": rng.integers(0, 6, n).astype(float), "x": rng.normal(size=n)})
    frame["area"] = np.where(np.arange(n) < n // 2, "north", "south")
    frame["office"] = np.arange(n) // 2
    return frame


def before(table: pd.DataFrame) -> pd.DataFrame:
    """Return the register: what stood there before the draw."""
    return table.drop(columns="y")


DESIGNS: dict[str, tuple[Any, int]] = {
    "bernoulli": (kk.Bernoulli(TWO), 7),
    "bernoulli 1/3": (kk.Bernoulli(kk.arms(control="2/3", coaching="1/3")), 7),
    "complete": (kk.Complete(TWO), 8),
    "complete, leftovers": (kk.Complete(kk.arms(control=2, coaching=1)), 8),
    "stratified": (kk.Stratified(TWO, by="area"), 8),
    "stratified, leftovers": (kk.Stratified(kk.arms(control=2, coaching=1), by="area"), 8),
    "strata alone": (kk.Stratified(kk.arms(control=2, coaching=1), by="area", leftovers="stratum"), 8),
    "clustered": (kk.Clustered(kk.Complete(TWO), by="office"), 14),
    "three arms": (kk.Complete(THREE), 6),
    "three arms in strata": (kk.Stratified(THREE, by="area"), 6),
    "three arms, leftovers": (kk.Complete(THREE), 5),
    "shares by stratum": (
        kk.Stratified({"north": TWO, "south": kk.arms(control=1, coaching=3)}, by="area"),
        8,
    ),
    "bernoulli, shares by stratum": (
        kk.Bernoulli({"north": TWO, "south": kk.arms(control=1, coaching=3)}, by="area"),
        6,
    ),
}


def every(assignment: Assignment) -> Iterator[tuple[Assignment, float]]:
    chunks = all_assignments(assignment.lottery)
    assert chunks is not None
    for codes, chances in chunks:
        for row, chance in zip(codes, chances, strict=True):
            yield (
                Assignment(
                    mechanism=assignment.mechanism,
                    population=assignment.population,
                    lottery=assignment.lottery,
                    codes=row,
                    seed=None,
                ),
                float(chance),
            )


@pytest.mark.parametrize("studentise", [True, False])
@pytest.mark.parametrize("name", DESIGNS)
def test_the_size_is_exact_over_every_assignment(name: str, studentise: bool) -> None:
    design, n = DESIGNS[name]
    table = people(n)
    start = kk.randomise(before(table), design, id="id", seed="size")
    p_values, chances = [], []
    for assignment, chance in every(start):
        try:
            p = kk.randomisation_test(assignment, table, "y", studentise=studentise).p_value
        except EstimationError:
            p = 1.0
        p_values.append(p)
        chances.append(chance)
    p, w = np.array(p_values), np.array(chances)
    assert w.sum() == pytest.approx(1.0, abs=1e-12)
    for alpha in np.unique(p):
        assert w[p <= alpha].sum() <= alpha + 1e-12


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_one_sided_size_is_exact_too(alternative: str) -> None:
    table = people(8, seed=3)
    start = kk.randomise(before(table), kk.Complete(kk.arms(control=2, coaching=1)), id="id", seed="size")
    found = [
        (kk.randomisation_test(a, table, "y", alternative=alternative, studentise=False).p_value, chance)
        for a, chance in every(start)
    ]
    p, w = np.array(found).T
    for alpha in np.unique(p):
        assert w[p <= alpha].sum() <= alpha + 1e-12


def brute(assignment: Assignment, table: pd.DataFrame, shift: float, *, studentise: bool, covariates: Any = ()) -> Any:
    """One-sided p-values of a shift, without the algebra of the kernel."""
    y = table.sort_values("id")["y"].to_numpy() - shift * (assignment.codes == 1)
    x = table.sort_values("id")[list(covariates)].to_numpy()
    cells = cells_of(assignment.lottery)
    if x.shape[1]:
        y = residualised(y, x, cells.strata)
    chunks = all_assignments(assignment.lottery)
    codes, chances = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    # The people of other arms stay where they are.
    stay = (np.where(codes < 2, -1, codes) == np.where(assignment.codes < 2, -1, assignment.codes)).all(axis=1)
    codes, chances = codes[stay], chances[stay] / chances[stay].sum()
    extra = {"strata": cells.strata, "clusters": cells.clusters}
    value, error = studentised(y, codes, arm=1, reference=0, **extra)
    seen, seen_error = studentised(y, assignment.codes[None], arm=1, reference=0, **extra)
    if studentise:
        value, seen = value / error, seen / seen_error
    gap = 1e-9
    return chances[value >= seen - gap].sum(), chances[value <= seen + gap].sum()


@pytest.mark.parametrize("studentise", [True, False])
@pytest.mark.parametrize(
    ("design", "n", "covariates"),
    [
        (kk.Complete(TWO), 10, ()),
        (kk.Complete(TWO), 10, ("x",)),
        (kk.Stratified(TWO, by="area"), 16, ()),
        (kk.Stratified(TWO, by="area"), 16, ("x",)),
        (kk.Complete(THREE), 12, ()),
        (kk.Clustered(kk.Complete(TWO), by="office"), 20, ()),
    ],
)
def test_the_interval_holds_exactly_the_shifts_that_are_not_rejected(
    design: Any, n: int, covariates: tuple[str, ...], studentise: bool
) -> None:
    table = people(n, seed=5)
    table["y"] += np.random.default_rng(2).normal(size=n)
    assignment = kk.randomise(before(table), design, id="id", seed="interval")
    table["y"] += 1.0 * (assignment.codes == 1)
    result = kk.randomisation_test(assignment, table, "y", level=0.8, studentise=studentise, covariates=covariates)
    assert result.exact
    assert result.interval is not None
    low, high = result.interval
    grid = np.concatenate([np.linspace(low - 3, high + 3, 41), [low + 1e-7, low - 1e-7, high - 1e-7, high + 1e-7]])
    for shift in grid:
        greater, less = brute(assignment, table, shift, studentise=studentise, covariates=covariates)
        assert (min(greater, less) > 0.1 + 1e-12) == (low <= shift <= high), shift


@pytest.mark.parametrize("studentise", [True, False])
def test_the_interval_at_few_redraws_agrees_with_testing_shifted_outcomes(studentise: bool) -> None:
    table = people(60, seed=7)
    assignment = kk.randomise(before(table), kk.Stratified(TWO, by="area"), id="id", seed="shifted")
    result = kk.randomisation_test(
        assignment, table, "y", draws=399, method="redraws", level=0.9, studentise=studentise
    )
    assert not result.exact
    assert result.interval is not None

    def rejected(shift: float) -> bool:
        moved = table.assign(y=table["y"] - shift * (assignment.codes == 1))
        sides = [
            kk.randomisation_test(
                assignment, moved, "y", draws=399, studentise=studentise, alternative=side, method="redraws"
            ).p_value
            for side in ("greater", "less")
        ]
        return min(sides) <= 0.05

    low, high = result.interval
    for inside in (low + 1e-6, (low + high) / 2, high - 1e-6):
        assert not rejected(inside)
    for outside in (low - 1e-6, low - 1, high + 1e-6, high + 1):
        assert rejected(outside)


def test_the_interval_moves_with_the_effect_and_scales_with_the_unit() -> None:
    table = people(40, seed=9)
    assignment = kk.randomise(before(table), kk.Stratified(TWO, by="area"), id="id", seed="move")
    base = kk.randomisation_test(assignment, table, "y", draws=199)
    moved = kk.randomisation_test(assignment, table.assign(y=table["y"] + 5 * (assignment.codes == 1)), "y", draws=199)
    scaled = kk.randomisation_test(assignment, table.assign(y=1e6 * table["y"] + 3e7), "y", draws=199)
    assert moved.interval == pytest.approx([end + 5 for end in base.interval or ()], abs=1e-9)
    assert scaled.interval == pytest.approx([1e6 * end for end in base.interval or ()], rel=1e-9)
    assert scaled.p_value == base.p_value
    assert scaled.statistic == pytest.approx(base.statistic, rel=1e-9)


def test_row_order_does_not_matter() -> None:
    table = people(50)
    assignment = kk.randomise(before(table), kk.Stratified(THREE, by="area"), id="id", seed="rows")
    first = kk.randomisation_test(assignment, table, "y", draws=99, covariates="x")
    other = kk.randomisation_test(assignment, table.sample(frac=1, random_state=1), "y", draws=99, covariates="x")
    assert other.rows() == first.rows()


def test_swapping_the_contrast_turns_the_sign() -> None:
    table = people(30)
    assignment = kk.randomise(before(table), kk.Complete(THREE), id="id", seed="swap")
    one = kk.randomisation_test(assignment, table, "y", draws=99, contrast=("letter", "coaching"))
    two = kk.randomisation_test(assignment, table, "y", draws=99, contrast=("coaching", "letter"))
    assert two.statistic == pytest.approx(-one.statistic)
    assert two.p_value == one.p_value
    assert (one.arm, one.reference) == ("letter", "coaching")


def test_the_statistic_is_that_of_the_estimate() -> None:
    table = people(60)
    for design in (kk.Complete(TWO), kk.Stratified(TWO, by="area")):
        assignment = kk.randomise(before(table), design, id="id", seed="statistic")
        estimate = kk.estimate_effects(assignment, table, "y")[0]
        result = kk.randomisation_test(assignment, table, "y", draws=19)
        raw = kk.randomisation_test(assignment, table, "y", draws=19, studentise=False)
        assert result.statistic == pytest.approx(estimate.statistic, rel=1e-9)
        assert raw.statistic == pytest.approx(estimate.value, rel=1e-9)


def test_monte_carlo_error_and_bounds() -> None:
    table = people(60)
    assignment = kk.randomise(before(table), kk.Complete(TWO), id="id", seed="error 2")
    table["y"] += 0.5 * (assignment.codes == 1)
    result = kk.randomisation_test(assignment, table, "y", draws=199)
    side = result.p_value / 2
    assert result.p_error == pytest.approx(2 * np.sqrt(side * (1 - side) / 199))
    assert result.p_low <= 2 * (round(side * 200) - 1) / 199 <= result.p_high
    assert result.p_high - result.p_low == pytest.approx(2 * 2.6 * result.p_error, rel=0.3)
    more = kk.randomisation_test(assignment, table, "y", draws=1_999)
    assert abs(more.p_value - result.p_value) < 5 * result.p_error


def test_a_rare_outcome_in_a_small_arm_is_found() -> None:
    """Counted by size alone, draws without an event in the small arm would hide 8 of 50 against 19 of 950."""
    codes = np.repeat([0, 1], [950, 50])
    event = np.concatenate([np.arange(950) < 19, np.arange(50) < 8]).astype(float)
    table = {"id": list(range(1_000)), "z": codes.tolist(), "y": event.tolist()}
    design = kk.Complete(kk.arms({"0": 950, "1": 50}))
    adopted = kk.adopt(table, arm="z", design=design, id="id")
    result = kk.randomisation_test(adopted, table, "y", draws=1_999)
    assert result.p_value < 0.01
    assert result.interval is not None
    assert result.interval[0] > 0


def test_p_value_and_interval_tell_the_same() -> None:
    table = people(40)
    disagree = 0
    for seed in range(40):
        assignment = kk.randomise(before(table), kk.Complete(kk.arms(a=3, b=1)), id="id", seed=seed)
        result = kk.randomisation_test(assignment, table, "y", draws=99, level=0.8)
        assert result.interval is not None
        low, high = result.interval
        disagree += (result.p_value <= 0.2) != (low > 0 or high < 0)
    assert disagree == 0


def test_missing_outcomes_stay_missing_and_are_told() -> None:
    table = people(40)
    assignment = kk.randomise(before(table), kk.Stratified(TWO, by="area"), id="id", seed="gaps")
    table.loc[table.index[::5], "y"] = np.nan
    result = kk.randomisation_test(assignment, table, "y", draws=99)
    assert sum(result.n.values()) == 32
    assert sum(result.missing.values()) == 8
    assert any("8 people have no outcome" in note for note in result.notes)


def test_undefined_draws_count_as_extreme() -> None:
    table = people(9)
    assignment = kk.randomise(before(table), kk.Bernoulli(TWO), id="id", seed="undefined 2")
    result = kk.randomisation_test(assignment, table, "y")
    assert result.exact
    # All in one arm, or a single person in one: 2 + 2 * 9 of 2^9 assignments.
    assert any("not defined in 20 of 512" in note for note in result.notes)
    assert result.p_value >= 20 / 512


def test_strata_that_may_lack_an_arm_are_pooled_in_the_statistic() -> None:
    table = people(60)
    table["area"] = np.arange(60) // 3
    assignment = kk.randomise(
        before(table), kk.Stratified(kk.arms(control=4, coaching=1), by="area"), id="id", seed="small"
    )
    result = kk.randomisation_test(assignment, table, "y", draws=99)
    assert any("20 strata" in note for note in result.notes)
    assert result.interval is not None


def test_an_arm_not_offered_everywhere_is_compared_where_it_is() -> None:
    table = people(40)
    shares = {"north": THREE, "south": kk.arms(control=1, coaching=1, letter=0)}
    assignment = kk.randomise(before(table), kk.Stratified(shares, by="area"), id="id", seed="offer")
    result = kk.randomisation_test(assignment, table, "y", draws=99, contrast=("letter", "control"))
    assert any("20 people who had no chance" in note for note in result.notes)


def test_too_few_assignments_give_no_interval_and_say_so() -> None:
    table = people(6)
    assignment = kk.randomise(before(table), kk.Complete(TWO), id="id", seed="few")
    result = kk.randomisation_test(assignment, table, "y")
    assert result.draws == 20
    assert result.interval is None
    assert any("no interval at 95%" in note for note in result.notes)


def test_a_one_sided_alternative_has_a_one_sided_interval() -> None:
    table = people(40)
    assignment = kk.randomise(before(table), kk.Complete(TWO), id="id", seed="side")
    both = kk.randomisation_test(assignment, table, "y", draws=199, level=0.9)
    greater = kk.randomisation_test(assignment, table, "y", draws=199, level=0.95, alternative="greater")
    less = kk.randomisation_test(assignment, table, "y", draws=199, level=0.95, alternative="less")
    assert both.interval is not None
    assert greater.interval == pytest.approx((both.interval[0], np.inf))
    assert less.interval == pytest.approx((-np.inf, both.interval[1]))


def test_an_effect_without_noise_is_found() -> None:
    table = people(12)
    assignment = kk.randomise(before(table), kk.Complete(TWO), id="id", seed="noise")
    result = kk.randomisation_test(assignment, table.assign(y=3.0 * (assignment.codes == 1)), "y")
    assert result.p_value == pytest.approx(2 / 924)
    assert result.statistic == np.inf
    assert result.interval == pytest.approx((3.0, 3.0), abs=1e-5)


def test_clusters_with_equal_sizes_are_tested_by_their_means() -> None:
    table = people(20, seed=4)
    design = kk.Clustered(kk.Complete(TWO), by="office")
    assignment = kk.randomise(before(table), design, id="id", seed="clusters")
    result = kk.randomisation_test(assignment, table, "y")
    means = table.groupby("office", as_index=False)["y"].mean()
    arm = np.where(pd.Series(assignment.codes).groupby(table["office"]).first() == 1, "coaching", "control")
    of_means = kk.adopt(means.assign(arm=arm), arm="arm", design=kk.Complete(TWO), id="office")
    other = kk.randomisation_test(of_means, means, "y")
    assert result.draws == other.draws == 252
    assert result.p_value == pytest.approx(other.p_value)
    assert result.interval == pytest.approx(other.interval)


def adopted(table: pd.DataFrame, design: Any, arm: str = "arm") -> Assignment:
    return kk.adopt(table, arm=arm, design=design, id="id", labels={0: "control", 1: "coaching"})


def test_paired_shoes() -> None:
    shoes = read("shoes_wide.csv")
    table = pd.DataFrame(
        {
            "id": range(20),
            "boy": [*shoes["boy"], *shoes["boy"]],
            "arm": [0] * 10 + [1] * 10,
            "y": [*shoes["A"], *shoes["B"]],
        }
    )
    wanted = CASES["brute_paired_shoes"]["results"]
    assignment = adopted(table, kk.Stratified(TWO, by="boy"))
    for studentise in (True, False):
        result = kk.randomisation_test(assignment, table, "y", studentise=studentise)
        assert result.draws == wanted["n_assignments"]
        assert result.p_value == pytest.approx(wanted["p.two_sided"], rel=1e-12)
    greater = kk.randomisation_test(assignment, table, "y", studentise=False, alternative="greater")
    assert greater.p_value == pytest.approx(wanted["p.greater"], rel=1e-12)
    assert greater.statistic == pytest.approx(wanted["mean_diff"], rel=1e-12)


def test_pairs_of_clusters_in_bogota() -> None:
    frame = read("colombia.csv").dropna(subset=["dayscorab"])
    means = frame.groupby(["b_pair", "b_block", "b_treat"], as_index=False)["dayscorab"].mean()
    counts = means.groupby("b_pair")["b_treat"].agg(["size", "sum"])
    pairs = sorted(counts.index[(counts["size"] == 2) & (counts["sum"] == 1)])[:12]
    table = means[means["b_pair"].isin(pairs)].assign(id=lambda f: range(len(f)), y=lambda f: f["dayscorab"])
    wanted = CASES["brute_pairs_colombia_first12"]["results"]
    assignment = adopted(table, kk.Stratified(TWO, by="b_pair"), arm="b_treat")
    raw = kk.randomisation_test(assignment, table, "y", studentise=False)
    result = kk.randomisation_test(assignment, table, "y")
    assert result.draws == wanted["n_assignments"]
    assert raw.statistic == pytest.approx(wanted["estimate"], rel=1e-10)
    assert raw.p_value == pytest.approx(wanted["p.two_sided"], rel=1e-10)
    assert result.statistic == pytest.approx(wanted["studentized_t"], rel=1e-10)
    assert result.p_value == pytest.approx(wanted["p.two_sided_studentized"], rel=1e-10)


def test_nsw_seven_and_seven() -> None:
    men = kk.datasets.nsw()
    table = pd.concat([men[men["treat"] == 1].tail(7), men[men["treat"] == 0].tail(7)])
    wanted = CASES["ri2_exact_nsw_7v7"]
    assignment = adopted(table, kk.Complete(TWO), arm="treat")
    result = kk.randomisation_test(assignment, table, "re78", studentise=False)
    assert result.draws == wanted["inputs"]["n_assignments"]
    assert result.statistic == pytest.approx(wanted["results"]["estimate"], rel=1e-10)
    assert result.p_value == pytest.approx(wanted["results"]["p.two_sided"], rel=1e-10)


@pytest.mark.parametrize(
    ("case", "size"),
    [("coin_exact_penn_first200", 200), ("coin_exact_penn_first1000", 1000), ("exact_perm_penn_arm4_all", None)],
)
def test_penn_agrees_with_the_exact_p_value_within_its_stated_error(case: str, size: int | None) -> None:
    frame = read("penn.csv")
    table = frame[frame["tg"].isin([0, 4])].sort_values("id").head(size or 10**6)
    n, m = len(table), int((table["tg"] == 4).sum())
    design = kk.Complete(kk.arms(control=n - m, coaching=m))
    assignment = kk.adopt(table, arm="tg", design=design, id="id", labels={0: "control", 4: "coaching"})
    result = kk.randomisation_test(
        assignment, table, "inuidur1", studentise=False, draws=4_999, method="counts" if n > 2_000 else "redraws"
    )
    wanted = CASES[case]["results"]
    exact = wanted["p_two_sided"] if size is None else wanted["two_sided"]["p.value"]
    assert result.p_low <= exact <= result.p_high
    assert abs(result.p_value - exact) < 4 * result.p_error


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"contrast": ("coching", "control")}, "Did you mean 'coaching'"),
        ({"contrast": ("control", "control")}, "with itself"),
        ({"contrast": "coaching"}, "pair of arm names"),
        ({"alternative": "greter"}, "Did you mean 'greater'"),
        ({"level": 95}, "level must lie"),
        ({"draws": 0}, "draws must be at least 1"),
    ],
)
def test_arguments_are_checked(given: dict[str, Any], message: str) -> None:
    table = people(8)
    assignment = kk.randomise(before(table), kk.Complete(TWO), id="id", seed="bad")
    with pytest.raises(DesignError, match=message):
        kk.randomisation_test(assignment, table, "y", **given)


def test_what_carries_no_test_is_refused() -> None:
    table = people(8)
    assignment = kk.randomise(before(table), kk.Complete(TWO), id="id", seed="bad")
    with pytest.raises(DesignError, match="needs an assignment"):
        kk.randomisation_test(table, table, "y")  # type: ignore[arg-type]
    with pytest.raises(EstimationError, match="'y' has the same value"):
        kk.randomisation_test(assignment, table.assign(y=0.1), "y")
    with pytest.raises(EstimationError, match="'coaching' has nobody"):
        kk.randomisation_test(assignment, table[assignment.codes == 0], "y")
    with pytest.raises(EstimationError, match="fully explained"):
        kk.randomisation_test(assignment.also_known("z"), table.assign(z=2 * table["y"] + 1), "y", covariates="z")
    one = kk.randomise(before(table), kk.Complete(kk.arms(control=7, coaching=1)), id="id", seed="one")
    with pytest.raises(EstimationError, match="studentise=False"):
        kk.randomisation_test(one, table, "y")
    assert kk.randomisation_test(one, table, "y", studentise=False).draws == 8
