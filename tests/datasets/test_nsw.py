"""The National Supported Work trial as causaldata ships it."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

from kokeilu.datasets import nsw
from kokeilu.errors import DataError


def test_the_trial_in_full_precision() -> None:
    pytest.importorskip("causaldata")
    men = nsw()
    mean = men.groupby("treat")["re78"].mean()
    assert men.shape == (445, 11)
    assert men["id"].tolist() == list(range(1, 446))
    assert men["treat"].sum() == 185
    assert men["re78"].dtype == "float64"
    assert mean[1] - mean[0] == pytest.approx(1794.34240427027, abs=1e-9)
    assert not men.isna().any().any()


def test_the_package_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "causaldata":
            raise ImportError(name)
        return plain(name, *rest, **options)

    monkeypatch.delitem(sys.modules, "causaldata", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install 'kokeilu\[examples\]'") as caught:
        nsw()
    assert caught.value.__context__ is None
