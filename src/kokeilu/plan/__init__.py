"""The plan: stated and fingerprinted before the draw, carried out and compared afterwards."""

from kokeilu.plan.deviations import Deviation
from kokeilu.plan.files import load_plan, save_plan
from kokeilu.plan.findings import Executed, Findings
from kokeilu.plan.plan import Plan
from kokeilu.plan.power_record import PowerCheck, PowerRecord
from kokeilu.plan.run import analyse, check_power, enrol
from kokeilu.plan.terms import Analysis, Outcome

__all__ = [
    "Analysis",
    "Deviation",
    "Executed",
    "Findings",
    "Outcome",
    "Plan",
    "PowerCheck",
    "PowerRecord",
    "analyse",
    "check_power",
    "enrol",
    "load_plan",
    "save_plan",
]
