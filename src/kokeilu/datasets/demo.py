"""The main job from end to end: a real trial analysed, and a new one sized, drawn, verified and reported.

``examples/first_trial.py`` and ``kokeilu demo`` both run it. It uses public names of kokeilu only.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import kokeilu as kk
from kokeilu.datasets.job_seekers import job_seekers
from kokeilu.datasets.nsw import nsw
from kokeilu.datasets.outcomes import outcomes, true_effects
from kokeilu.errors import DataError, FileError

if TYPE_CHECKING:
    from kokeilu.core.protocols import Mechanism
    from kokeilu.core.results import Estimate
    from kokeilu.plan import Findings, Plan

__all__ = ["new_trial", "real_trial", "run", "say", "title"]

BEFORE = ("age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75")
MEASURED_BEFORE = ("age", "sex", "education", "months_unemployed", "employment_days_prior", "immigrant")
ADJUSTED_FOR = ("age", "months_unemployed", "employment_days_prior", "immigrant")
OUTCOME_SEED = "kokeilu demo: outcomes"
PUBLISHED_SEED = "Lotto 21.11.2026: 4 11 19 23 30 38 40"
TRUTH = {"coach": 0.03, "voucher": 0.015}


def run(folder: Path) -> None:
    """Run both trials and leave register, plan, assignment and report in a folder."""
    try:
        real_trial()
    except DataError as error:
        say(f"Left out: {error}")
    new_trial(folder)


def say(text: object = "") -> None:
    """Write a line at once, so that what follows is announced before it starts."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def title(text: str, rule: str = "-") -> None:
    """Write an underlined title."""
    say(f"\n{text}\n{rule * len(text)}")


def real_trial() -> None:
    """Analyse the National Supported Work trial: 445 men, offered supported work by lot, earnings two years on."""
    title("A. A real trial: National Supported Work, United States, 1976-77", "=")
    men = nsw()
    design = kk.Complete(kk.arms({"control": 260, "supported work": 185}))
    allocation = kk.adopt(men, arm="treat", design=design, id="id", labels={0: "control", 1: "supported work"})
    say("The lot was drawn elsewhere, so the allocation is adopted: its design is stated once, here.")
    say(allocation)

    title("Was the lot fair? Balance of what was measured before")
    say(kk.check_balance(allocation, men, on=BEFORE))
    say(
        "In words: these 445 men are the part of the trial whose earnings of 1974 are known, chosen after the lot, so\n"
        "a p-value near 0.05 is no surprise; fewer in training lack a degree (nodegree)."
    )

    title("Effect on earnings in 1978, dollars")
    earnings = kk.estimate_effects(allocation, men, "re78")
    say(earnings)
    say(f"In words: {in_words(earnings[0], 'dollars')}")

    title("The same, adjusted for what was measured before")
    say(kk.estimate_effects(allocation, men, "re78", covariates=BEFORE))

    title("Randomisation test: could the lot alone have made this difference?")
    say("Drawing the lot again 9,999 times ...")
    test = kk.randomisation_test(allocation, men, "re78", draws=9_999)
    say(test)
    say(f"In words: {test.p_value:.2%} of lots give a difference at least as large where nobody gains or loses.")


def new_trial(folder: Path) -> None:
    """Plan, draw, verify and report a trial of 39,500 job seekers in eight regions with three arms."""
    make_folder(folder)
    title("B. A new trial: 39,500 job seekers, eight regions, three arms", "=")
    seekers = job_seekers(39_500, seed="kokeilu demo: register")
    regions = seekers["region"].value_counts()
    say(f"A made-up register: {', '.join(f'{name} {people:,}' for name, people in regions.items())}.")
    say(
        f"{seekers['long_term'].mean():.0%} out of work for over 12 months, {seekers['under_25'].mean():.0%} under 25, "
        f"{seekers['immigrant'].mean():.0%} immigrants; {seekers['employment_office'].nunique()} offices."
    )
    seekers.to_parquet(folder / "register.parquet")
    design = kk.Stratified(kk.arms(control=2, coach=1, voucher=1), by=("region", "long_term"))

    title("1. Size: what can a trial of this register detect?")
    say(kk.detectable_effect(design, seekers, kk.Proportion(base=0.30, r2=0.07), power=0.80))

    title("2. Plan: written down before the draw")
    plan = plan_of(design)
    kk.save_plan(plan, folder / "plan.json")
    say(plan)

    title("3. Draw")
    kk.save(kk.enrol(plan, seekers, seed=PUBLISHED_SEED), folder / "assignment.parquet")
    assignment = kk.load(folder / "assignment.parquet")
    say(assignment)

    title("4. Verify: anyone with the register and the seed can replay the draw")
    say(kk.verify(assignment, seekers))

    title("5. Balance, before any outcome is known")
    say("Drawing the lot again for the omnibus test ...")
    test = kk.check_balance(assignment, seekers, on=plan.balance).omnibus
    say(f"p = {test.p_value:.3f} from {test.draws:,} redraws; the table stands among the findings below.")

    title("6. A year later: analysed as planned")
    say("Outcomes come in; the planned analyses and two exploratory ones run ...")
    revealed = outcomes(seekers, assignment, effects=TRUTH, seed=OUTCOME_SEED)
    table = revealed.merge(seekers, on=plan.id)
    also = (kk.Analysis("spell_days_after"), kk.Analysis("employed_12m", kk.RandomisationTest(draws=999)))
    findings = kk.analyse(plan, assignment, table, also=also, register=seekers)
    say(findings)
    say("")
    for estimate in findings.estimates[:2]:
        say(f"In words: {in_words(estimate, 'in 100 people', 100)}")

    title("7. The truth, known only because these people are made up")
    say(against_truth(findings, true_effects(seekers, effects=TRUTH, seed=OUTCOME_SEED)))

    title("8. Report")
    say("Writing the report ...")
    kk.write_report(findings, folder / "report.html")
    say(f"In {folder.resolve()}: register.parquet, plan.json, assignment.parquet, report.html.")
    say("Open report.html in a browser. Replay the draw, in that folder, with:")
    say(f"{sys.executable} -m kokeilu verify assignment.parquet register.parquet")


def in_words(estimate: Estimate, unit: str, factor: float = 1.0) -> str:
    """Return an estimate as a sentence; a factor of 100 turns a share into people in 100."""
    mean, value, low, high = (factor * x for x in (estimate.reference_mean, estimate.value, *estimate.interval()))
    return (
        f"{estimate.outcome} is {mean:,.1f} {unit} under {estimate.reference!r}, and {abs(value):,.1f} "
        f"{'higher' if value > 0 else 'lower'} under {estimate.arm!r}; a difference of {low:,.1f} to {high:,.1f} is "
        "compatible with the data (95 %)."
    )


def make_folder(folder: Path) -> None:
    """Make a folder unless it is there.

    Raises
    ------
    FileError
        Where it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return
    except OSError as error:
        reason = error.strerror or "it cannot be made"
    raise FileError(f"the folder {folder.name!r} cannot be used: {reason}. Name a folder that may be written to.")


def plan_of(design: Mechanism) -> Plan:
    """Return the plan of the new trial: one primary outcome, two secondary ones."""
    adjusted = kk.Regression(covariates=ADJUSTED_FOR, errors="HC2")
    return kk.Plan(
        title="Personal coach and wage subsidy voucher in eight regions",
        description="Does the offer of a coach, or of a voucher, help job seekers into work within 12 months?",
        id="person_id",
        design=design,
        balance=MEASURED_BEFORE,
        outcomes=(
            kk.Outcome("employed_12m", description="Employed 12 months after the draw", minimum=0, maximum=1),
            kk.Outcome(
                "days_employed",
                role="secondary",
                description="Days employed in the 12 months after the draw",
                unit="days",
                minimum=0,
                maximum=365,
            ),
            kk.Outcome(
                "satisfaction",
                role="secondary",
                description="Grade given to the service in a survey",
                unit="school grade",
                minimum=4,
                maximum=10,
            ),
        ),
        analyses=(
            kk.Analysis("employed_12m", adjusted),
            kk.Analysis("days_employed", adjusted),
            kk.Analysis("satisfaction"),
        ),
        family=kk.Holm(alpha=0.05),
    )


def against_truth(findings: Findings, truth: pd.DataFrame) -> str:
    """Return the true effects beside the estimates, as an aligned table."""
    true = truth.set_index(["outcome", "arm"])["effect"]
    rows = []
    for estimate in (*findings.estimates, *findings.exploratory):
        effect = float(true.loc[(estimate.outcome, estimate.arm)])
        low, high = estimate.interval()
        inside = "yes" if low <= effect <= high else "no"
        rows.append((estimate.outcome, estimate.arm, effect, estimate.value, low, high, inside))
    names = ("outcome", "arm", "true effect", "estimate", "low", "high", "inside")
    return pd.DataFrame(rows, columns=names).to_string(index=False, float_format="{:.4f}".format)
