"""kokeilu: randomised field experiments from register to report.

plan → register → draw → balance → outcomes → effects → report, with the design travelling along the chain.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kokeilu import datasets as datasets
    from kokeilu import errors as errors
    from kokeilu.assign.adaptive import Adaptive as Adaptive
    from kokeilu.assign.adopt import adopt as adopt
    from kokeilu.assign.bernoulli import Bernoulli as Bernoulli
    from kokeilu.assign.capacity import CapacityLottery as CapacityLottery
    from kokeilu.assign.clustered import Clustered as Clustered
    from kokeilu.assign.complete import Complete as Complete
    from kokeilu.assign.factorial import Factorial as Factorial
    from kokeilu.assign.fixed import Fixed as Fixed
    from kokeilu.assign.gram_schmidt import GramSchmidtWalk as GramSchmidtWalk
    from kokeilu.assign.law import law as law
    from kokeilu.assign.matched import MatchedTuples as MatchedTuples
    from kokeilu.assign.merged import Merged as Merged
    from kokeilu.assign.merged import merge_arms as merge_arms
    from kokeilu.assign.next_wave import next_wave as next_wave
    from kokeilu.assign.next_wave import wave_shares as wave_shares
    from kokeilu.assign.offers import offers as offers
    from kokeilu.assign.prognostic import prognostic_score as prognostic_score
    from kokeilu.assign.quantiles import StratifiedByQuantiles as StratifiedByQuantiles
    from kokeilu.assign.randomise import randomise as randomise
    from kokeilu.assign.rerandomised import Rerandomised as Rerandomised
    from kokeilu.assign.saturation import Saturation as Saturation
    from kokeilu.assign.stepped_wedge import SteppedWedge as SteppedWedge
    from kokeilu.assign.stratified import Stratified as Stratified
    from kokeilu.assign.threshold import ThresholdBlocks as ThresholdBlocks
    from kokeilu.assign.verify import verify as verify
    from kokeilu.assign.waves import Waves as Waves
    from kokeilu.balance.table import check_balance as check_balance
    from kokeilu.ceremony.certificate import Certificate as Certificate
    from kokeilu.ceremony.commitment import Commitment as Commitment
    from kokeilu.ceremony.commitment import commit as commit
    from kokeilu.ceremony.drawing import draw as draw
    from kokeilu.ceremony.proofs import Proof as Proof
    from kokeilu.ceremony.proofs import check_proof as check_proof
    from kokeilu.ceremony.proofs import proof as proof
    from kokeilu.core.arms import Arm as Arm
    from kokeilu.core.arms import Arms as Arms
    from kokeilu.core.arms import arms as arms
    from kokeilu.core.assignment import Assignment as Assignment
    from kokeilu.core.lottery import all_assignments as all_assignments
    from kokeilu.core.lottery import redraws as redraws
    from kokeilu.core.lottery import shares_of as shares_of
    from kokeilu.core.registry import register as register
    from kokeilu.core.view import align as align
    from kokeilu.estimate.effects import estimate_effects as estimate_effects
    from kokeilu.estimate.families import Bonferroni as Bonferroni
    from kokeilu.estimate.families import Holm as Holm
    from kokeilu.estimate.means import DifferenceInMeans as DifferenceInMeans
    from kokeilu.estimate.randomisation import randomisation_test as randomisation_test
    from kokeilu.estimate.regression import Regression as Regression
    from kokeilu.estimate.spec import RandomisationTest as RandomisationTest
    from kokeilu.io.files import load as load
    from kokeilu.io.files import save as save
    from kokeilu.plan.deviations import Deviation as Deviation
    from kokeilu.plan.files import load_plan as load_plan
    from kokeilu.plan.files import save_plan as save_plan
    from kokeilu.plan.plan import Plan as Plan
    from kokeilu.plan.run import analyse as analyse
    from kokeilu.plan.run import enrol as enrol
    from kokeilu.plan.terms import Analysis as Analysis
    from kokeilu.plan.terms import Outcome as Outcome
    from kokeilu.power.layout import ClusterSizes as ClusterSizes
    from kokeilu.power.models import Mean as Mean
    from kokeilu.power.models import Proportion as Proportion
    from kokeilu.power.simulate import simulate_power as simulate_power
    from kokeilu.power.solve import detectable_effect as detectable_effect
    from kokeilu.power.solve import power_at as power_at
    from kokeilu.power.solve import sample_size as sample_size
    from kokeilu.power.world import Shift as Shift
    from kokeilu.report.document import write_report as write_report

_PLACES = {
    "Adaptive": "assign.adaptive",
    "Analysis": "plan.terms",
    "Arm": "core.arms",
    "Arms": "core.arms",
    "Assignment": "core.assignment",
    "Bernoulli": "assign.bernoulli",
    "Bonferroni": "estimate.families",
    "CapacityLottery": "assign.capacity",
    "Certificate": "ceremony.certificate",
    "ClusterSizes": "power.layout",
    "Clustered": "assign.clustered",
    "Commitment": "ceremony.commitment",
    "Complete": "assign.complete",
    "Deviation": "plan.deviations",
    "DifferenceInMeans": "estimate.means",
    "Factorial": "assign.factorial",
    "Fixed": "assign.fixed",
    "GramSchmidtWalk": "assign.gram_schmidt",
    "Holm": "estimate.families",
    "MatchedTuples": "assign.matched",
    "Mean": "power.models",
    "Merged": "assign.merged",
    "Outcome": "plan.terms",
    "Plan": "plan.plan",
    "Proof": "ceremony.proofs",
    "Proportion": "power.models",
    "RandomisationTest": "estimate.spec",
    "Regression": "estimate.regression",
    "Rerandomised": "assign.rerandomised",
    "Saturation": "assign.saturation",
    "Shift": "power.world",
    "SteppedWedge": "assign.stepped_wedge",
    "Stratified": "assign.stratified",
    "StratifiedByQuantiles": "assign.quantiles",
    "ThresholdBlocks": "assign.threshold",
    "Waves": "assign.waves",
    "adopt": "assign.adopt",
    "align": "core.view",
    "all_assignments": "core.lottery",
    "analyse": "plan.run",
    "arms": "core.arms",
    "check_balance": "balance.table",
    "check_proof": "ceremony.proofs",
    "commit": "ceremony.commitment",
    "detectable_effect": "power.solve",
    "draw": "ceremony.drawing",
    "enrol": "plan.run",
    "estimate_effects": "estimate.effects",
    "law": "assign.law",
    "load": "io.files",
    "load_plan": "plan.files",
    "merge_arms": "assign.merged",
    "next_wave": "assign.next_wave",
    "offers": "assign.offers",
    "power_at": "power.solve",
    "prognostic_score": "assign.prognostic",
    "proof": "ceremony.proofs",
    "randomisation_test": "estimate.randomisation",
    "randomise": "assign.randomise",
    "redraws": "core.lottery",
    "register": "core.registry",
    "sample_size": "power.solve",
    "save": "io.files",
    "save_plan": "plan.files",
    "shares_of": "core.lottery",
    "simulate_power": "power.simulate",
    "verify": "assign.verify",
    "wave_shares": "assign.next_wave",
    "write_report": "report.document",
}
_PACKAGES = ("datasets", "errors")
# Not kokeilu.testing: it needs hypothesis, an extra, and `from kokeilu import *` needs none.

__version__ = "0.1.0"
__all__ = ["__version__", *sorted({*_PLACES, *_PACKAGES})]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import kokeilu` stays light."""
    if name in _PLACES:
        value = getattr(import_module(f"kokeilu.{_PLACES[name]}"), name)
    elif name in _PACKAGES:
        value = import_module(f"kokeilu.{name}")
    else:
        raise AttributeError(f"module 'kokeilu' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
