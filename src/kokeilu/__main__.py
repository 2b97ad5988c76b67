"""The command line: ``kokeilu demo`` and ``kokeilu verify``."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from kokeilu.errors import KokeiluError

__all__ = ["main"]

VERIFIED, DIFFERS, UNUSABLE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the name of the program; those of the process by default.

    Returns
    -------
    int
        0: done, or verified. 1: the draw differs from its replay. 2: an argument or a file cannot be used.
    """
    for stream in (sys.stdout, sys.stderr):
        # A console of another code page must not stop a verification halfway.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(argv)
    try:
        return _demo(options.out) if options.command == "demo" else _verify(options.assignment, options.register)
    except KokeiluError as error:
        print(f"kokeilu {options.command}: {error}", file=sys.stderr)
        return UNUSABLE


def _parser() -> argparse.ArgumentParser:
    from kokeilu import __version__

    parser = argparse.ArgumentParser(prog="kokeilu", description="Randomised field trials, from plan to report.")
    parser.add_argument("--version", action="version", version=f"kokeilu {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="run a real trial and a new one, end to end, and write report.html")
    demo.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where to write; default: here")
    check = commands.add_parser(
        "verify",
        help="replay a draw from its register",
        description="Replay a draw from its register and say what differs. Counts only: no id and no value is shown.",
        epilog="Exit code 0: verified. 1: not verified. 2: an argument or a file cannot be used.",
    )
    check.add_argument("assignment", type=Path, help="the file that kokeilu.save wrote (.parquet)")
    check.add_argument("register", type=Path, help="the register as it was frozen (.parquet or .csv)")
    return parser


def _demo(out: Path) -> int:
    from kokeilu.datasets.demo import run

    run(out)
    return VERIFIED


def _verify(assignment_file: Path, register_file: Path) -> int:
    from kokeilu.assign.verify import verify
    from kokeilu.io.files import load
    from kokeilu.io.registers import read_register

    assignment = load(assignment_file)
    finding = verify(assignment, read_register(register_file, assignment))
    print(assignment.mechanism.describe())
    print(finding)
    return VERIFIED if finding.verified else DIFFERS


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
