"""Settings of the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: a busy machine is no defect. In CI the examples are the same every time; at a desk they vary.
settings.register_profile("desk", deadline=None, print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

os.environ.setdefault("MPLBACKEND", "Agg")
