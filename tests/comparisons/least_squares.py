"""What comparisons of regressions share: columns of a formula, all coefficients by the kernel, views of the arms."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from comparisons.common import Case
from estimate.conftest import build
from kokeilu._kernels import linear
from kokeilu._kernels.clustered import CR, cluster_robust
from kokeilu.core.view import View


class Solution(NamedTuple):
    """Coefficients, their covariance and degrees of freedom, and rows less columns."""

    values: np.ndarray
    covariance: np.ndarray
    dof: np.ndarray
    rows: int


def columns_of(formula: str, frame: pd.DataFrame) -> np.ndarray:
    """Return the columns of a formula without intercept: main effects, then products."""
    parts: list[np.ndarray] = []
    terms = formula.split("~")[1].split("|")[0].split("+")
    for term in terms:
        if factor := re.fullmatch(r"C\((\w+)\)", term):
            levels = np.unique(frame[factor[1]])[1:]
            parts.append((frame[factor[1]].to_numpy()[:, None] == levels).astype(float))
        else:
            parts.append(frame[term.split("*")].to_numpy(float))
    products = [frame[term.split("*")].prod(axis=1).to_numpy(float)[:, None] for term in terms if "*" in term]
    return np.column_stack([*parts, *products])


def outcome_of(formula: str, frame: pd.DataFrame) -> np.ndarray:
    return frame[formula.split("~")[0]].to_numpy(float)


def codes_of(frame: pd.DataFrame, column: str) -> np.ndarray:
    return np.unique(frame[column], return_inverse=True)[1].astype(np.int64)


def weights_of(given: dict[str, Any], frame: pd.DataFrame) -> np.ndarray | None:
    if "weights" not in given:
        return None
    if given["weights"] == "1+sex":
        return 1.0 + frame["sex"].to_numpy(float)
    return 1.0 / frame.groupby("b_block")["b_block"].transform("size").to_numpy(float)


def design_of(given: dict[str, Any], frame: pd.DataFrame) -> linear.Design:
    """Return the design of a formula, an intercept first or the fixed effects absorbed."""
    columns = columns_of(given["formula"], frame)
    fixed = given.get("fixed_effects") or (given["formula"].split("|")[1] if "|" in given["formula"] else None)
    if fixed:
        return linear.columns_of(columns, weights=weights_of(given, frame), levels=codes_of(frame, fixed))
    return linear.columns_of(np.column_stack([np.ones(len(frame)), columns]), weights=weights_of(given, frame))


def solved(given: dict[str, Any], frame: pd.DataFrame, kind: str, *, dof: str = "auto") -> Solution:
    """Return every coefficient by the kernel."""
    design, y = design_of(given, frame), outcome_of(given["formula"], frame)
    if kind in linear.HC:
        fitted = linear.fit(design, y)
        covariance = linear.covariance(design, y, fitted, kind).covariance
        return Solution(fitted.coef, covariance, np.full(design.width, fitted.dof), fitted.dof)
    clusters = codes_of(frame, given["clusters"]) if given.get("clusters") else np.arange(len(frame))
    found = cluster_robust(design, y, clusters, kind=kind, contrasts=np.eye(design.width), dof=dof)
    return Solution(found.values, found.covariance, found.dof, found.fit.dof)


def arm_view(given: dict[str, Any], frame: pd.DataFrame, arm: str, **more: Any) -> tuple[View, tuple[str, ...]]:
    """Return the view of a trial whose regression is the formula, and the names of its covariates."""
    terms = [term for term in given["formula"].split("~")[1].split("|")[0].split("+") if term != arm]
    blocks, names, chosen = [], [], []
    for term in terms:
        if factor := re.fullmatch(r"C\((\w+)\)", term):
            levels = np.unique(frame[factor[1]])[1:]
            blocks.append((frame[factor[1]].to_numpy()[:, None] == levels).astype(float))
            names += [f"{factor[1]}: {level}" for level in levels]
            chosen.append(factor[1])
        else:
            blocks.append(frame[[term]].to_numpy(float))
            names.append(term)
            chosen.append(term)
    view = build(
        outcome_of(given["formula"], frame),
        frame[arm].to_numpy().astype(int),
        covariates=np.column_stack(blocks) if blocks else None,
        names=names,
        **more,
    )
    return view, tuple(chosen)


def kind_of(case: Case) -> str:
    """Return the kind of errors in the words of the library."""
    given = case["inputs"]
    kind = given.get("se_type") or given.get("type") or "CR2"
    kind = {"CR1S": "stata"}.get(kind, kind)
    assert kind in (*linear.HC, *CR)
    return str(kind)
