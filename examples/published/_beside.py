"""What the replications share: finding the data, and a table of numbers beside those of others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

# The reference data sets lie beside the checkout; they are not part of the package.
DATA = Path(__file__).resolve().parents[3] / "shared" / "reference" / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One number beside that of a paper or a program.

    `theirs` is text, so that "633" says how far it was rounded. `rtol` is the relative tolerance of a number printed in
    full; `why` says why a number may differ, and is empty where it may not.
    """

    what: str
    ours: float
    theirs: str
    source: str
    rtol: float = 1e-6
    why: str = ""

    def difference(self) -> float:
        """Relative difference."""
        return self.ours / float(self.theirs) - 1.0

    def agrees(self) -> bool:
        """Whether the numbers agree to what was printed there; one that may differ always does."""
        wanted = float(self.theirs)
        places = len(self.theirs.partition(".")[2])
        rounding = 0.5 * 10.0**-places if places < 6 else 0.0
        return bool(self.why) or abs(self.ours - wanted) <= rounding * (1 + 1e-9) + self.rtol * abs(wanted)


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def beside(lines: Sequence[Beside]) -> None:
    """Print the numbers beside each other, and end the script with code 1 where one that should agree does not."""
    shown = [("", "kokeilu", "theirs", "relative", "theirs is from")]
    shown += [(x.what, f"{x.ours:.6g}", _short(x.theirs), f"{x.difference():+.1e}", x.source) for x in lines]
    wide = [max(len(row[column]) for row in shown) for column in range(4)]
    for row in shown:
        cells = [row[0].ljust(wide[0]), *(row[column].rjust(wide[column]) for column in (1, 2, 3)), row[4]]
        print("  ".join(cells))
    for why in dict.fromkeys(line.why for line in lines if line.why):
        those = dict.fromkeys(line.source for line in lines if line.why == why)
        print(f"* differs from {' and '.join(those)}: {why}.")
    wrong = [line.what for line in lines if not line.agrees()]
    if wrong:
        sys.exit(f"does not agree: {'; '.join(wrong)}")


def _short(number: str) -> str:
    return number if len(number) <= 9 else f"{float(number):.6g}"


def data(name: str, origin: str) -> pd.DataFrame:
    """Read a data set: the path given on the command line, or the file beside the checkout; end well without it."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA / name
    if not path.exists():
        print(
            f"The data set {name} is not here, so this replication is left out. It is {origin}; write it to a CSV file "
            f"and give its path:\npython {sys.argv[0]} {name}"
        )
        sys.exit(0)
    return pd.read_csv(path)
