"""The plan: stated and fingerprinted before the draw, carried out and compared afterwards."""

from kokeilu.plan.deviations import Deviation
from kokeilu.plan.files import load_plan, save_plan
from kokeilu.plan.findings import Executed, Findings
from kokeilu.plan.plan import Plan
from kokeilu.plan.run import analyse, enrol
from kokeilu.plan.terms import Analysis, Outcome

__all__ = [
    "Analysis",
    "Deviation",
    "Executed",
    "Findings",
    "Outcome",
    "Plan",
    "analyse",
    "enrol",
    "load_plan",
    "save_plan",
]
