"""Write docs/validation.md from what the calibrations recorded (KOKEILU_VALIDATION), kept in docs/validation.jsonl.

    python tools/validation.py LINES          all figures are replaced by those of LINES
    python tools/validation.py --merge LINES  those of the tests in LINES are replaced, the others stay

Ends with 1 where a row lies outside the band and no reason is recorded.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
KEPT, PAGE = DOCS / "validation.jsonl", DOCS / "validation.md"
LOW, HIGH, COVERS = 0.035, 0.065, 0.935

RATES = ("Design", "Method", "Outcome", "Replications", "Rejects", "Covers", "Why outside the band")
TOLD = ("Topic", "Setting", "What", "Replications", "Found", "Allowed")

Line = dict[str, Any]

HEAD = """# Validation: error rates and coverage

Written by `make calibrate` from simulated trials; do not edit. Every row is one setting of a test in
`tests/calibration/`: the lottery is drawn anew many times, and no arm changes anything unless the outcome says so, so
that each rejection is false and each interval should hold the effect. *Rejects*: the share of 5 % tests that reject
(for families, of trials in which any true hypothesis is rejected). *Covers*: the share of 95 % intervals that hold the
effect. ± is one Monte Carlo standard error (of one test a replication).

The band is 3.5-6.5 % and at least 93.5 %. A row outside it is in **bold**, and the last column says why; none is left
out. Rows below 3.5 % err on the careful side; a row above 6.5 % is a warning to whoever uses that method there.

"""
DEVIATIONS = """## Statements held against simulation

Largest difference between what is stated (a law of the draw, a power) and what simulated trials show, beside the
largest that was allowed before the test was run.

"""


def read(path: Path) -> list[Line]:
    """Return the lines of a file; none where there is no file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def merged(old: Iterable[Line], new: Sequence[Line]) -> list[Line]:
    """Return the new lines, and the old ones of other tests (a test: file, function and setting)."""
    again = {line["test"] for line in new}
    return in_order([*(line for line in old if line["test"] not in again), *new])


def in_order(lines: Iterable[Line]) -> list[Line]:
    """Sort by topic and test; a setting that was run twice counts as it ran last."""
    last = {key(line): line for line in lines}
    return sorted(last.values(), key=lambda line: (line["topic"], line["test"].partition("[")[0]))


def key(line: Line) -> str:
    return json.dumps([line.get(name) for name in ("test", "topic", "design", "method", "outcome", "what")])


def outside(line: Line) -> bool:
    """Whether a setting lies outside the band."""
    rejects, covers = line.get("rejections"), line.get("coverage")
    off = rejects is not None and not LOW <= round(rejects, 6) <= HIGH
    return off or (covers is not None and round(covers, 6) < COVERS)


def error(share: float, replications: int) -> float:
    """Monte Carlo standard error of a share."""
    return math.sqrt(share * (1.0 - share) / replications)


def page(lines: Sequence[Line]) -> str:
    """Return the page: one table for each topic and test, then the statements."""
    rates = [line for line in lines if "found" not in line]
    text = HEAD + summary(rates)
    for topic in dict.fromkeys(line["topic"] for line in rates):
        text += f"## {topic[0].upper()}{topic[1:]}\n\n"
        mine = [line for line in rates if line["topic"] == topic]
        for test in dict.fromkeys(function(line) for line in mine):
            rows = [row(line) for line in mine if function(line) == test]
            text += f"`{test}`\n\n" + table(RATES, rows)
    told = [line for line in lines if "found" in line]
    text += DEVIATIONS if told else ""
    for test in dict.fromkeys(function(line) for line in told):
        rows = [deviation(line) for line in told if function(line) == test]
        text += f"`{test}`\n\n" + table(TOLD, rows)
    return text.rstrip() + "\n"


def function(line: Line) -> str:
    return str(line["test"]).partition("[")[0].removeprefix("tests/calibration/")


def summary(rates: Sequence[Line]) -> str:
    off = [line for line in rates if outside(line)]
    high = sum(1 for line in off if (line["rejections"] or 0.0) > HIGH or (line["coverage"] or 1.0) < COVERS)
    return (
        f"{len(rates):,} settings: {len(rates) - len(off):,} within the band, {len(off) - high:,} on the careful side "
        f"of it, {high:,} that reject too often or cover too little.\n\n"
    )


def row(line: Line) -> list[str]:
    off = outside(line)
    n = line["replications"]
    cells = [
        line["design"],
        line["method"],
        line["outcome"],
        f"{n:,}",
        share(line["rejections"], n),
        share(line["coverage"], n),
    ]
    if off:
        cells[4:6] = [f"**{cell}**" if cell != "-" else cell for cell in cells[4:6]]
    return [*cells, (line["reason"] or "NO REASON RECORDED") if off else ""]


def deviation(line: Line) -> list[str]:
    return [
        line["topic"],
        line["design"],
        line["what"],
        f"{line['replications']:,}",
        f"{line['found']:.3g}",
        f"{line['allowed']:.3g}",
    ]


def share(value: float | None, replications: int) -> str:
    return "-" if value is None else f"{100 * value:.1f} ± {100 * error(value, replications):.1f} %"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(clean(cell) for cell in line) + " |" for line in lines) + "\n\n"


def clean(cell: str) -> str:
    return re.sub(r"\s+", " ", cell).replace("|", "\\|")


def main(arguments: Sequence[str]) -> int:
    """Write the page; return 1 where a row outside the band has no reason."""
    files = [Path(name) for name in arguments if name != "--merge"]
    new = [line for file in files for line in read(file)]
    old = read(KEPT) if "--merge" in arguments or not files else []
    lines = merged(old, new)
    KEPT.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines), encoding="utf-8")
    PAGE.write_text(page(lines), encoding="utf-8")
    bare = [line for line in lines if "found" not in line and outside(line) and not line["reason"]]
    for line in bare:
        print(f"no reason for {line['test']}: rejects {line['rejections']}, covers {line['coverage']}")
    print(f"{len(lines):,} rows in {PAGE.name}; outside the band without a reason: {len(bare):,}")
    return 1 if bare else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
