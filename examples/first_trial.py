"""The main job: analyse a real trial, then plan, draw, verify, analyse and report a new one.

Run it with ``make demo``, with ``python examples/first_trial.py [FOLDER]``, or, from an installed package, with
``kokeilu demo``. It leaves register.parquet, plan.json, assignment.parquet and report.html in
the folder.

Every step of the two trials stands in :mod:`kokeilu.datasets.demo`, which uses public names only: read it as the
recipe for a trial of your own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kokeilu.datasets.demo import new_trial, real_trial


def main() -> None:
    """Run both trials."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    real_trial()
    new_trial(folder)


if __name__ == "__main__":
    main()
