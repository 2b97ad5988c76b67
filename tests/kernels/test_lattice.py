"""Whole numbers behind an outcome: tenths and cents are told as they print, noise is not."""

from __future__ import annotations

import numpy as np
import pytest

from kokeilu._kernels.lattice import lattice_of, strata_of


@pytest.mark.parametrize(
    ("y", "whole", "unit"),
    [
        ([3.0, 1.0, 4.0], [2, 0, 3], 1.0),
        ([11.2, 10.9, 9.8, 9.5], [17, 14, 3, 0], 0.1),
        ([0.25, 0.75, 1.75], [0, 1, 3], 0.5),
        ([1200.0, 1800.0, 600.0], [1, 2, 0], 600.0),
        ([-1.5, 2.0, 2.5], [0, 7, 8], 0.5),
        ([19.99, 0.01, 5.0], [1998, 0, 499], 0.01),
        ([7.0, 7.0], [0, 0], 1.0),
    ],
)
def test_decimals_become_whole_numbers(y: list[float], whole: list[int], unit: float) -> None:
    found = lattice_of(np.array(y))
    assert found is not None
    assert found[0].tolist() == whole
    assert found[1] == pytest.approx(unit, rel=1e-12)


def test_differences_that_are_equal_on_tenths_are_equal() -> None:
    """As doubles 11.2 - 10.9 and 9.8 - 9.5 differ: software that ranks doubles loses the tie."""
    assert 11.2 - 10.9 != 9.8 - 9.5
    found = lattice_of(np.array([11.2, 10.9, 9.8, 9.5]))
    assert found is not None
    assert np.diff(found[0])[[0, 2]].tolist() == [-3, -3]


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6, 1e9])
def test_noise_is_no_lattice(size: float) -> None:
    assert lattice_of(np.random.default_rng(1).normal(size=50) * size) is None
    assert lattice_of(np.array([0.0, 1.0, np.pi]) * size) is None
    assert lattice_of(np.array([0.0, 1.0, 1.0 / 3.0])) is None


def test_alike_strata_are_told_once() -> None:
    values, marked = np.array([1, 2, 2, 1, 5, 5]), np.array([True, False, False, True, True, False])
    found = strata_of(values, marked, np.array([0, 0, 1, 1, 2, 2]), np.array([1, 1, 1]))
    assert sorted((one.values.tolist(), one.copies) for one in found) == [([1, 2], 2), ([5], 1)]
    assert sum(one.copies * one.size for one in found) == 6
