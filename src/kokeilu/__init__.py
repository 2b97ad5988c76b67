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
    from kokeilu.balance.attrition import check_attrition as check_attrition
    from kokeilu.balance.counts import check_counts as check_counts
    from kokeilu.balance.models import model_tests as model_tests
    from kokeilu.balance.table import check_balance as check_balance
    from kokeilu.balance.take_up import check_take_up as check_take_up
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
    from kokeilu.estimate.aipw import AIPW as AIPW
    from kokeilu.estimate.ancova import ANCOVA as ANCOVA
    from kokeilu.estimate.anhecova import ANHECOVA as ANHECOVA
    from kokeilu.estimate.arm_contrasts import ArmContrasts as ArmContrasts
    from kokeilu.estimate.effects import estimate_effects as estimate_effects
    from kokeilu.estimate.families import BenjaminiHochberg as BenjaminiHochberg
    from kokeilu.estimate.families import BenjaminiYekutieli as BenjaminiYekutieli
    from kokeilu.estimate.families import Bonferroni as Bonferroni
    from kokeilu.estimate.families import Hochberg as Hochberg
    from kokeilu.estimate.families import Holm as Holm
    from kokeilu.estimate.families import Hommel as Hommel
    from kokeilu.estimate.families import SharpenedQ as SharpenedQ
    from kokeilu.estimate.horvitz_thompson import Hajek as Hajek
    from kokeilu.estimate.horvitz_thompson import HorvitzThompson as HorvitzThompson
    from kokeilu.estimate.joint_randomisation import JointRandomisationTest as JointRandomisationTest
    from kokeilu.estimate.joint_randomisation import joint_randomisation_test as joint_randomisation_test
    from kokeilu.estimate.learners import LeastSquares as LeastSquares
    from kokeilu.estimate.means import DifferenceInMeans as DifferenceInMeans
    from kokeilu.estimate.randomisation import randomisation_test as randomisation_test
    from kokeilu.estimate.regression import Regression as Regression
    from kokeilu.estimate.spec import RandomisationTest as RandomisationTest
    from kokeilu.estimate.step_down import RomanoWolf as RomanoWolf
    from kokeilu.estimate.step_down import WestfallYoung as WestfallYoung
    from kokeilu.estimate.step_down import family_test as family_test
    from kokeilu.estimate.stepped_wedge import stepped_wedge_effects as stepped_wedge_effects
    from kokeilu.estimate.stepped_wedge_test import stepped_wedge_test as stepped_wedge_test
    from kokeilu.estimate.stratified import StratifiedRegression as StratifiedRegression
    from kokeilu.estimate.wild_bootstrap import WildClusterBootstrap as WildClusterBootstrap
    from kokeilu.estimate.wild_bootstrap import wild_cluster_test as wild_cluster_test
    from kokeilu.io.files import load as load
    from kokeilu.io.files import save as save
    from kokeilu.plan.deviations import Deviation as Deviation
    from kokeilu.plan.files import load_plan as load_plan
    from kokeilu.plan.files import save_plan as save_plan
    from kokeilu.plan.plan import Plan as Plan
    from kokeilu.plan.power_record import PowerCheck as PowerCheck
    from kokeilu.plan.power_record import PowerRecord as PowerRecord
    from kokeilu.plan.run import analyse as analyse
    from kokeilu.plan.run import check_power as check_power
    from kokeilu.plan.run import enrol as enrol
    from kokeilu.plan.terms import Analysis as Analysis
    from kokeilu.plan.terms import Outcome as Outcome
    from kokeilu.power.cluster_sizes import ClusterSizes as ClusterSizes
    from kokeilu.power.cohort import learnt as learnt
    from kokeilu.power.costs import Costs as Costs
    from kokeilu.power.costs import allocate as allocate
    from kokeilu.power.costs import best_cluster_size as best_cluster_size
    from kokeilu.power.costs import budget as budget
    from kokeilu.power.counts import Count as Count
    from kokeilu.power.durations import Duration as Duration
    from kokeilu.power.durations import RestrictedMean as RestrictedMean
    from kokeilu.power.hypotheses import Equivalence as Equivalence
    from kokeilu.power.hypotheses import NonInferiority as NonInferiority
    from kokeilu.power.hypotheses import Superiority as Superiority
    from kokeilu.power.inflow import Inflow as Inflow
    from kokeilu.power.lee import lee_width as lee_width
    from kokeilu.power.levels import Blocks as Blocks
    from kokeilu.power.levels import Sites as Sites
    from kokeilu.power.lines import power_curve as power_curve
    from kokeilu.power.models import Mean as Mean
    from kokeilu.power.models import Proportion as Proportion
    from kokeilu.power.moderators import BlockModerator as BlockModerator
    from kokeilu.power.moderators import ClusterModerator as ClusterModerator
    from kokeilu.power.moderators import Moderator as Moderator
    from kokeilu.power.nested import ClusteredBlocks as ClusteredBlocks
    from kokeilu.power.nested import NestedClusters as NestedClusters
    from kokeilu.power.panel import Panel as Panel
    from kokeilu.power.pilots import baseline_r2 as baseline_r2
    from kokeilu.power.pilots import icc as icc
    from kokeilu.power.pilots import take_up as take_up
    from kokeilu.power.ranges import power_range as power_range
    from kokeilu.power.reality import Reality as Reality
    from kokeilu.power.sequential import GroupSequential as GroupSequential
    from kokeilu.power.several import Dunnett as Dunnett
    from kokeilu.power.several import JointF as JointF
    from kokeilu.power.several import ManyOutcomes as ManyOutcomes
    from kokeilu.power.simulate import simulate_power as simulate_power
    from kokeilu.power.solve import detectable_effect as detectable_effect
    from kokeilu.power.solve import power_at as power_at
    from kokeilu.power.solve import sample_size as sample_size
    from kokeilu.power.wedges import PartlyNested as PartlyNested
    from kokeilu.power.wedges import SaturationSizes as SaturationSizes
    from kokeilu.power.wedges import WedgeSizes as WedgeSizes
    from kokeilu.power.world import Shift as Shift
    from kokeilu.power.worlds import Binary as Binary
    from kokeilu.power.worlds import Durations as Durations
    from kokeilu.power.worlds import Proportional as Proportional
    from kokeilu.power.worlds import Resampled as Resampled
    from kokeilu.power.worlds import TakeUp as TakeUp
    from kokeilu.report.document import write_report as write_report
    from kokeilu.report.love import love_plot as love_plot
    from kokeilu.report.power import power_plot as power_plot

_PLACES = {
    "AIPW": "estimate.aipw",
    "ANCOVA": "estimate.ancova",
    "ANHECOVA": "estimate.anhecova",
    "Adaptive": "assign.adaptive",
    "Analysis": "plan.terms",
    "Arm": "core.arms",
    "ArmContrasts": "estimate.arm_contrasts",
    "Arms": "core.arms",
    "Assignment": "core.assignment",
    "BenjaminiHochberg": "estimate.families",
    "BenjaminiYekutieli": "estimate.families",
    "Bernoulli": "assign.bernoulli",
    "Binary": "power.worlds",
    "BlockModerator": "power.moderators",
    "Blocks": "power.levels",
    "Bonferroni": "estimate.families",
    "CapacityLottery": "assign.capacity",
    "Certificate": "ceremony.certificate",
    "ClusterModerator": "power.moderators",
    "ClusterSizes": "power.cluster_sizes",
    "Clustered": "assign.clustered",
    "ClusteredBlocks": "power.nested",
    "Commitment": "ceremony.commitment",
    "Complete": "assign.complete",
    "Costs": "power.costs",
    "Count": "power.counts",
    "Deviation": "plan.deviations",
    "DifferenceInMeans": "estimate.means",
    "Dunnett": "power.several",
    "Duration": "power.durations",
    "Durations": "power.worlds",
    "Equivalence": "power.hypotheses",
    "Factorial": "assign.factorial",
    "Fixed": "assign.fixed",
    "GramSchmidtWalk": "assign.gram_schmidt",
    "GroupSequential": "power.sequential",
    "Hajek": "estimate.horvitz_thompson",
    "Hochberg": "estimate.families",
    "Holm": "estimate.families",
    "Hommel": "estimate.families",
    "HorvitzThompson": "estimate.horvitz_thompson",
    "Inflow": "power.inflow",
    "JointF": "power.several",
    "JointRandomisationTest": "estimate.joint_randomisation",
    "LeastSquares": "estimate.learners",
    "ManyOutcomes": "power.several",
    "MatchedTuples": "assign.matched",
    "Mean": "power.models",
    "Merged": "assign.merged",
    "Moderator": "power.moderators",
    "NestedClusters": "power.nested",
    "NonInferiority": "power.hypotheses",
    "Outcome": "plan.terms",
    "Panel": "power.panel",
    "PartlyNested": "power.wedges",
    "Plan": "plan.plan",
    "PowerCheck": "plan.power_record",
    "PowerRecord": "plan.power_record",
    "Proof": "ceremony.proofs",
    "Proportion": "power.models",
    "Proportional": "power.worlds",
    "RandomisationTest": "estimate.spec",
    "Reality": "power.reality",
    "Regression": "estimate.regression",
    "Rerandomised": "assign.rerandomised",
    "Resampled": "power.worlds",
    "RestrictedMean": "power.durations",
    "RomanoWolf": "estimate.step_down",
    "Saturation": "assign.saturation",
    "SaturationSizes": "power.wedges",
    "SharpenedQ": "estimate.families",
    "Shift": "power.world",
    "Sites": "power.levels",
    "SteppedWedge": "assign.stepped_wedge",
    "Stratified": "assign.stratified",
    "StratifiedByQuantiles": "assign.quantiles",
    "StratifiedRegression": "estimate.stratified",
    "Superiority": "power.hypotheses",
    "TakeUp": "power.worlds",
    "ThresholdBlocks": "assign.threshold",
    "Waves": "assign.waves",
    "WedgeSizes": "power.wedges",
    "WestfallYoung": "estimate.step_down",
    "WildClusterBootstrap": "estimate.wild_bootstrap",
    "adopt": "assign.adopt",
    "align": "core.view",
    "all_assignments": "core.lottery",
    "allocate": "power.costs",
    "analyse": "plan.run",
    "arms": "core.arms",
    "baseline_r2": "power.pilots",
    "best_cluster_size": "power.costs",
    "budget": "power.costs",
    "check_attrition": "balance.attrition",
    "check_balance": "balance.table",
    "check_counts": "balance.counts",
    "check_power": "plan.run",
    "check_proof": "ceremony.proofs",
    "check_take_up": "balance.take_up",
    "commit": "ceremony.commitment",
    "detectable_effect": "power.solve",
    "draw": "ceremony.drawing",
    "enrol": "plan.run",
    "estimate_effects": "estimate.effects",
    "family_test": "estimate.step_down",
    "icc": "power.pilots",
    "joint_randomisation_test": "estimate.joint_randomisation",
    "law": "assign.law",
    "learnt": "power.cohort",
    "lee_width": "power.lee",
    "load": "io.files",
    "load_plan": "plan.files",
    "love_plot": "report.love",
    "merge_arms": "assign.merged",
    "model_tests": "balance.models",
    "next_wave": "assign.next_wave",
    "offers": "assign.offers",
    "power_at": "power.solve",
    "power_curve": "power.lines",
    "power_plot": "report.power",
    "power_range": "power.ranges",
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
    "stepped_wedge_effects": "estimate.stepped_wedge",
    "stepped_wedge_test": "estimate.stepped_wedge_test",
    "take_up": "power.pilots",
    "verify": "assign.verify",
    "wave_shares": "assign.next_wave",
    "wild_cluster_test": "estimate.wild_bootstrap",
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
