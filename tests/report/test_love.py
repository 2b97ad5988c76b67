"""The love plot: a point for each contrast of each line, and no text read as a formula."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kokeilu as kk
from kokeilu.errors import DesignError


def balance(**given: Any) -> Any:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"id": np.arange(60), "age": rng.normal(size=60), "e": 1.0})
    table["$kind_1$"] = rng.choice(["a%", "b$x$"], 60)
    assignment = kk.randomise(table, kk.Complete(kk.arms(control=1, coaching=1, letter=1)), id="id", seed="love")
    return kk.check_balance(assignment, table, on=("age", "$kind_1$", "e"), draws=19, **given)


def test_every_difference_is_a_point() -> None:
    found = balance(contrasts="all")
    figure = kk.love_plot(found)
    marks = [line for line in figure.axes[0].lines if line.get_marker() not in ("", "None", None)]
    assert [len(line.get_xdata()) for line in marks] == [3, 3, 3]
    wanted = [found.lines[j].contrast("letter", "coaching").std_difference for j in range(3)]
    np.testing.assert_allclose(marks[2].get_xdata(), wanted)
    stream = io.BytesIO()
    figure.savefig(stream, format="svg")
    assert stream.getvalue().startswith(b"<?xml")


def test_only_the_largest_are_shown_where_there_are_many() -> None:
    figure = kk.love_plot(balance(), most=1)
    assert len(figure.axes[0].get_yticks()) == 1
    assert "2 rows with smaller differences left out" in figure.axes[0].get_xlabel()


def test_what_is_no_balance_is_refused() -> None:
    with pytest.raises(DesignError, match="what check_balance returned"):
        kk.love_plot("balance")  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="most"):
        kk.love_plot(balance(), most=0)
