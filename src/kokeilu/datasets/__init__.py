"""Example registers made from a seed, outcomes under stated true effects, and loaders for real trials."""

from __future__ import annotations

from kokeilu.datasets.job_seekers import job_seekers
from kokeilu.datasets.nsw import nsw
from kokeilu.datasets.outcomes import outcomes, true_effects

__all__ = ["job_seekers", "nsw", "outcomes", "true_effects"]
