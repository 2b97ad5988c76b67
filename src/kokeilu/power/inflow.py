"""People who come week by week, and offices that have so many places."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kokeilu._checks import between
from kokeilu.core.arms import Arms
from kokeilu.core.results import Rows, text_table
from kokeilu.errors import DesignError
from kokeilu.power.layout import arms_of, draws_clusters
from kokeilu.power.level_frame import LevelFrame, known_sizes, people_part
from kokeilu.power.models import Components, OutcomeModel, Pair

__all__ = ["Inflow", "OfficeFlow"]

Parts = dict[str, float]
Places = Mapping[str, float | Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeFlow(Rows):
    """What a week looks like, office by office.

    Attributes
    ----------
    lines : tuple of (office, arrivals, enrolled, (arm, places used, places left) ...)
    """

    lines: tuple[tuple[str, float, float, tuple[tuple[str, float, float], ...]], ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each office: people a week."""
        return [
            {
                "office": office,
                "arrivals": arrivals,
                "enrolled": enrolled,
                "outside": arrivals - enrolled,
                **{f"{arm} used": used for arm, used, _ in arms},
                **{f"{arm} unused": left for arm, _, left in arms},
            }
            for office, arrivals, enrolled, arms in self.lines
        ]

    def __str__(self) -> str:
        return text_table(self.rows())


@dataclass(frozen=True, slots=True, kw_only=True)
class Inflow:
    """A trial that enrols whoever comes, as long as there are places: `sample_size` then finds the weeks.

    Each week an office has `arrivals` new people (those who come back counted once) and so many places in an arm. It
    enrols min(arrivals, places / share of the arm); the rest stays outside the trial.
    Strata of the design within an office are not known before people come: degrees of freedom are not reduced for them.

    Parameters
    ----------
    arrivals : float, or mapping of office to float
        New people a week.
    places : mapping of arm to float, or of arm to mapping of office to float, optional
        Places a week in each office; arms left out have room for everybody.
    weeks : float, optional
        Weeks of enrolment; left out, `sample_size` solves for them.
    wave : float, default 1
        Weeks between two draws: each draw in each office is a stratum and costs a degree of freedom.
    follow_up : float, default 0
        Weeks until the outcome is known.
    extract : float, optional
        Weeks from the first draw to the extract of the data: only who was followed up by then counts.

    Examples
    --------
    >>> import kokeilu as kk
    >>> design = kk.Stratified(kk.arms(control=1, coaching=1), by="office")
    >>> flow = kk.Inflow(arrivals={"Lahti": 40, "Oulu": 55}, places={"coaching": 15}, wave=4)
    >>> found = kk.sample_size(design, kk.Mean(sd=1.0), effect=0.2, sizes=flow)
    >>> found.root[0], round(found.root[1], 1), found.value
    ('weeks', 13.1, 840)
    >>> print(flow.week(design))
    office  arrivals  enrolled  outside  control used  coaching used  control unused  coaching unused
    ------  --------  --------  -------  ------------  -------------  --------------  ---------------
    Lahti    40.000    30.000   10.000        15.000         15.000               -           0.0000
    Oulu     55.000    30.000   25.000        15.000         15.000               -           0.0000
    """

    arrivals: float | Mapping[str, float]
    places: Places | None = None
    weeks: float | None = None
    wave: float = 1.0
    follow_up: float = 0.0
    extract: float | None = None

    def __post_init__(self) -> None:
        for office, number in self._arrivals().items():
            between(number, 0.0, 1e9, name=f"the arrivals of {office!r}", closed=True)
        if sum(self._arrivals().values()) == 0.0:
            raise DesignError("nobody arrives in any office, so no number of weeks enrols anybody.")
        between(self.wave, 0.0, 1e6, name="wave")
        between(self.follow_up, 0.0, 1e6, name="follow_up", closed=True)
        if self.weeks is not None:
            between(self.weeks, 1.0, 1e15, name="weeks", closed=True)
        if self.extract is not None and between(self.extract, 0.0, 1e6, name="extract") <= self.follow_up:
            raise DesignError(
                f"the data are extracted after {self.extract:g} weeks and outcomes take {self.follow_up:g}: nobody's "
                "outcome is known by then."
            )

    def _arrivals(self) -> dict[str, float]:
        return dict(self.arrivals) if isinstance(self.arrivals, Mapping) else {"all offices": float(self.arrivals)}

    def _room(self, arm: str, office: str) -> float:
        given = (self.places or {}).get(arm, math.inf)
        if isinstance(given, Mapping):
            if office not in given:
                raise DesignError(f"places of {arm!r} have no entry for office {office!r}. State one for every office.")
            given = given[office]
        return float(given)

    def _check(self, arms: Arms) -> None:
        for arm, given in (self.places or {}).items():
            arms.index(arm)
            numbers = given.values() if isinstance(given, Mapping) else (given,)
            for number in numbers:
                between(number, 0.0, math.inf, name=f"the places of {arm!r}", closed=True)
            if isinstance(given, Mapping) and (unknown := [o for o in given if o not in self._arrivals()]):
                raise DesignError(f"places of {arm!r} name an office {unknown[0]!r} that has no arrivals.")

    def week(self, design: object) -> OfficeFlow:
        """Return what a week looks like under the shares of a design."""
        arms = arms_of(design)
        self._check(arms)
        lines = []
        for office, arrivals in self._arrivals().items():
            rooms = {arm.name: (self._room(arm.name, office), float(arm.share)) for arm in arms}
            enrolled = min([arrivals, *(room / share for room, share in rooms.values() if share > 0.0)])
            used = tuple(
                (arm, share * enrolled, math.nan if math.isinf(room) else room - share * enrolled)
                for arm, (room, share) in rooms.items()
            )
            lines.append((office, float(arrivals), float(enrolled), used))
        return OfficeFlow(lines=tuple(lines))

    @property
    def unknown(self) -> str | None:
        """What is left open."""
        return "weeks" if self.weeks is None else None

    @property
    def least(self) -> float:
        """A week."""
        return 1.0

    @property
    def most(self) -> float:
        """The weeks of entrants who are followed up by the extract."""
        return math.inf if self.extract is None else max(1.0, self.extract - self.follow_up)

    def at(self, value: float) -> Inflow:
        """Return the inflow over so many weeks."""
        return replace(self, weeks=value)

    def _counted(self, weeks: float) -> float:
        """Weeks of entrants whose outcome is known at the extract."""
        return weeks if self.extract is None else min(weeks, self.extract - self.follow_up)

    def frame(self, design: object, outcome: OutcomeModel) -> LevelFrame:
        """Return the frame."""
        if draws_clusters(design) or outcome.states_clusters:
            raise DesignError(
                "Inflow is for people drawn one by one; a design of whole offices does not enrol by week."
            )
        (weeks,) = known_sizes("Inflow", self.weeks)
        counted = self._counted(weeks)
        flow = self.week(design)
        a_week = sum(enrolled for _, _, enrolled, _ in flow.lines)
        if a_week == 0.0:
            raise DesignError("there are no places in any office, so nobody is enrolled. State places above 0.")
        offices = sum(enrolled > 0.0 for _, _, enrolled, _ in flow.lines)
        if a_week * self.wave <= offices:
            raise DesignError(
                f"a draw in an office takes {a_week * self.wave / offices:.3g} people on average, compared with "
                "nobody. Draw less often (wave=…), or over several offices together."
            )
        people = a_week * counted
        draws = max(1.0, counted / self.wave)

        def parts(model: OutcomeModel, components: Components, pair: Pair, seen: Pair, _: float) -> Parts:
            return {"people": people_part(components, pair, seen, people)}

        notes = [f"{a_week:,.4g} people enrolled a week in {offices} offices, drawn every {self.wave:g} weeks"]
        if counted < weeks:
            notes.append(f"only those of the first {counted:g} weeks are followed up by the extract")
        return LevelFrame(
            arms=arms_of(design),
            count=people,
            drawn=people,
            clustered=False,
            strata=round(offices * draws),
            formula="people who come week by week, drawn in each office and wave",
            notes=tuple(notes),
            parts_of=parts,
            # One common effect: a degree of freedom for each draw in each office, and one for the effect.
            dof=lambda covariates: people - offices * draws - 1.0 - covariates,
        )
