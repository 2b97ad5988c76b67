"""The search for a size: which contrasts, which effects, and what is solved for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kokeilu._checks import between
from kokeilu.core.arms import Arms
from kokeilu.errors import DesignError
from kokeilu.power.cluster_sizes import ClusterSizes
from kokeilu.power.framed import Framed
from kokeilu.power.layout import Frame, contrast_of, counted, unseen_strata
from kokeilu.power.level_frame import LevelFrame
from kokeilu.power.question import Effects, Question, fewest_units, round_up, smallest
from kokeilu.power.results import Power

__all__ = ["Search", "effects_by_arm", "pairs_of"]

WIDE = 1e12  # people per cluster that stand for infinitely many
DIVIDED = ("people", "people per block", "clusters per block", "clusters")
FOLD = 12  # of people or clusters that may be added so that arms are whole
MANY = 1e9  # of anything: more than any trial has


def pairs_of(arms: Arms, contrast: str | tuple[str, str] | None) -> tuple[list[tuple[int, int]], int]:
    """Every arm that has a share against the chosen reference, and the place of the chosen contrast."""
    arm, reference = contrast_of(arms, contrast)
    pairs = [(k, reference) for k, share in enumerate(arms.shares) if k != reference and (share > 0 or k == arm)]
    return pairs, pairs.index((arm, reference))


def effects_by_arm(effect: Effects, arms: Arms, pairs: list[tuple[int, int]]) -> list[float]:
    if isinstance(effect, Mapping):
        for name in effect:
            if arms.index(name) == pairs[0][1]:
                raise DesignError(f"effect has an entry for {name!r}, to which the others are compared; leave it out.")
        lacking = [arms.names[arm] for arm, _ in pairs if arms.names[arm] not in effect]
        if lacking:
            raise DesignError(f"effect has no entry for arm {lacking[0]!r}. State one for every arm but the reference.")
        values = [effect[arms.names[arm]] for arm, _ in pairs]
    else:
        values = [effect] * len(pairs)
    return [between(value, -math.inf, math.inf, name="effect") for value in values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    question: Question
    design: object
    arms: Arms
    stated: Effects

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return pairs_of(self.arms, None)[0]

    @property
    def effects(self) -> list[float]:
        return effects_by_arm(self.stated, self.arms, self.pairs)

    @property
    def shares(self) -> tuple[float, ...]:
        return tuple(float(share) for share in self.arms.shares)

    def check(self) -> None:
        for pair, effect in zip(self.pairs, self.effects, strict=True):
            taking = self.question.reality.taking(self.arms, *pair)

            def statistic(x: float, taking: tuple[float, float] = taking) -> float:
                model, itt = self.question.outcome.offered(x, taking)
                return model.statistic(itt)

            reason = self.question.test.refuses(statistic, effect)
            if reason and getattr(self.question.test, "joint", None) is None:
                raise DesignError(reason)
            model, itt = self.question.outcome.offered(effect, taking)
            model.variances(itt)

    def power(self, frame: Framed) -> float:
        return self.question.answer(self.question.framed(frame), self.pairs, self.effects)

    def finding(self, frame: Framed, continuous: float, root: tuple[str, float]) -> Power:
        """Return the finding; people are those to enrol, before attrition."""
        seen = self.question.framed(frame)
        rows = tuple(
            self.question.row(seen, *pair, effect) for pair, effect in zip(self.pairs, self.effects, strict=True)
        )
        weakest = min(range(len(rows)), key=lambda i: rows[i].power)
        found = self.question.finding("sample_size", frame, rows, weakest)
        return replace(found, continuous=continuous, root=root)

    def units(self, sizes: ClusterSizes | None) -> Power:
        """People, or clusters of a given size: whole units by arm."""
        notes = unseen_strata(self.design)

        def frame_at(units: tuple[float, ...]) -> Frame:
            return counted(self.arms, units, sizes=sizes, notes=notes)

        seen = min((1.0 - self.question.reality.lost(name) for name in self.arms.names), default=1.0)
        least = max(fewest_units(self.question, self.shares, pair) for pair in self.pairs)
        least = least if sizes is not None else least / seen * (1.0 + 1e-12)
        root = smallest(self.question, lambda x: self.power(frame_at(tuple(s * x for s in self.shares))), least)
        frame = frame_at(tuple(float(round_up(s * root)) for s in self.shares))
        each = 1.0 if sizes is None else float(sizes.size or 0.0)
        return self.finding(frame, root * each, ("people" if sizes is None else "clusters", root))

    def people_per_cluster(self, sizes: ClusterSizes) -> Power:
        """A number of clusters: whole people per cluster."""
        count = sizes.count or 0
        units = tuple(s * count for s in self.shares)
        notes = unseen_strata(self.design)

        def frame_at(size: float) -> Frame:
            return counted(self.arms, units, sizes=replace(sizes, count=None, size=size), notes=notes)

        limit = self.power(counted(self.arms, units, sizes=replace(sizes, count=None, size=WIDE), notes=notes))
        if limit <= (self.question.target or 0.0):
            raise DesignError(self._limit(count, limit, frame_at(WIDE)))
        root = smallest(self.question, lambda size: self.power(frame_at(size)), 1.0)
        return self.finding(frame_at(float(round_up(root))), root * count, ("people per cluster", root))

    def _limit(self, count: int, limit: float, widest: Frame) -> str:
        icc = getattr(self.question.outcome, "icc", None)
        with_icc = "" if icc is None else f" with an ICC of {icc:g}"
        arms = " or ".join(f"{effect:g}" for effect in dict.fromkeys(self.effects))
        least = self.question.detectable(self.question.framed(widest), self.pairs[0], self.question.sign)
        bound = "" if least is None else f" The least detectable effect with {count:,} clusters is {least:,.3g}."
        return (
            f"{count:,} clusters{with_icc} cannot have more power than {limit:.3f} against an effect of {arms}, "
            f"however many people each has.{bound} Add clusters, or explain variance between them (cluster_r2)."
        )

    def _whole(self, root: float, unknown: str) -> int:
        """Rounded up; units that are divided over the arms to a number that the shares divide, where it is near."""
        fold = math.lcm(*(share.limit_denominator(10**6).denominator for share in self.arms.shares))
        step = fold if unknown in DIVIDED and fold <= FOLD else 1
        return round_up(root / step) * step

    def open_size(self, sizes: Any) -> Power:
        """Sizes alone of which one is left open."""
        if sizes.unknown is None:
            raise DesignError(f"{type(sizes).__name__} states every size and leaves nothing to solve; drop one.")

        def power_of(x: float) -> float:
            frame = self.question.framed(sizes.at(x).frame(self.design, self.question.outcome))
            covariates = self.question.covariates
            if isinstance(frame, LevelFrame) and min(frame.dof_of(*p, covariates) for p in self.pairs) < 1.0 - 1e-9:
                return 0.0  # too few to estimate an error from, but not for ever
            if hasattr(self.question.test, "joint") and frame.joint_dof(covariates) < 1.0 - 1e-9:
                return 0.0
            return self.question.answer(frame, self.pairs, self.effects)

        # What no size can mend is refused in its own words.
        self.power(sizes.at(MANY).frame(self.design, self.question.outcome))
        most, target = float(getattr(sizes, "most", math.inf)), self.question.target or 0.0
        if not math.isinf(most) and (reached := power_of(most)) < target:
            raise DesignError(
                f"only the first {most:g} {sizes.unknown} count, and their power is {reached:.3f}, not {target:g}. "
                "Extract the data later, follow people for a shorter time, or enrol more of them."
            )
        root = smallest(self.question, power_of, sizes.least)
        whole = sizes.at(float(self._whole(root, str(sizes.unknown)))).frame(self.design, self.question.outcome)
        before = sizes.at(root).frame(self.design, self.question.outcome)
        return self.finding(whole, float(before.people.sum()), (str(sizes.unknown), root))
