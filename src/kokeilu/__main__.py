"""The command line: ``kokeilu demo``, ``verify``, and the public draw: ``commit``, ``draw``, ``proof``."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kokeilu.errors import FileError, KokeiluError

if TYPE_CHECKING:
    from kokeilu.ceremony.commitment import Commitment
    from kokeilu.core.protocols import Mechanism
    from kokeilu.plan.plan import Plan

__all__ = ["main"]

VERIFIED, DIFFERS, UNUSABLE = 0, 1, 2
_EXIT_DONE = "Exit code 0: {}. 2: an argument or a file cannot be used."
_EXIT = "Exit code 0: {}. 1: {}. 2: an argument or a file cannot be used."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the name of the program; those of the process by default.

    Returns
    -------
    int
        0: done, or verified. 1: the draw differs from its replay, or from what was committed to. 2: an argument or a
        file cannot be used.
    """
    for stream in (sys.stdout, sys.stderr):
        # A console of another code page must not stop a verification halfway.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(argv)
    actions = {"demo": _demo, "verify": _verify, "commit": _commit, "draw": _draw, "proof": _proof}
    try:
        return actions[options.command](options)
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
        epilog=_EXIT.format("verified", "not verified"),
    )
    check.add_argument("draw", type=Path, help="what kokeilu.save wrote, or the certificate of a public draw")
    check.add_argument("register", type=Path, help="the register as it was frozen (.parquet or .csv)")
    sealed = check.add_argument_group("for a certificate")
    sealed.add_argument("--key-file", type=Path, help="the key of the register (needed)")
    sealed.add_argument("--secret-file", type=Path, help="the secret, where the certificate does not reveal it")
    sealed.add_argument("--commitment", type=Path, help="the commitment as it was published before the draw")
    sealed.add_argument("--assignment", type=Path, help="the assignment that is used (.parquet)")
    _ceremony(commands)
    return parser


def _ceremony(commands: Any) -> None:
    commit = commands.add_parser(
        "commit",
        help="freeze a register and a design before a public draw",
        description="Freeze a register and a design, and write the commitment that is published before the draw.",
        epilog=_EXIT_DONE.format("written"),
    )
    commit.add_argument("register", type=Path, help="the register (.parquet or .csv)")
    commit.add_argument("--design", type=Path, required=True, help="a plan of kokeilu.save_plan, or a design in JSON")
    commit.add_argument("--id", required=True, help="the column that names each person once")
    commit.add_argument("--source", required=True, help="the public value to come: what, when, and where read")
    commit.add_argument("--name", default="", help="what is drawn, in words")
    draw = commands.add_parser(
        "draw",
        help="draw as committed, with the public value that has come",
        description="Draw as committed. The assignment stays with the register; the certificate is published.",
        epilog=_EXIT.format("drawn", "refused, for something is not as committed"),
    )
    draw.add_argument("commitment", type=Path, help="what kokeilu commit wrote")
    draw.add_argument("register", type=Path, help="the register as it was frozen")
    draw.add_argument("--beacon", required=True, help="the public value, as its source writes it")
    draw.add_argument("--certificate", type=Path, required=True, help="where to write the certificate to publish")
    draw.add_argument("--revealed", type=Path, help="where to write the one with the secret, for later")
    proof = commands.add_parser(
        "proof",
        help="write one person's own proof",
        description="Write the proof of one person, to be handed to that person alone.",
        epilog=_EXIT_DONE.format("written"),
    )
    proof.add_argument("certificate", type=Path, help="the certificate of the draw")
    proof.add_argument("register", type=Path, help="the register as it was frozen")
    proof.add_argument("--person", required=True, help="the person's id; - to read it from the standard input")
    for command in (commit, draw, proof):
        command.add_argument("--key-file", type=Path, required=True, help="at least 32 random bytes, kept for good")
        asked = command is not proof
        command.add_argument("--secret-file", type=Path, required=asked, help="at least 32 random bytes, kept hidden")
        command.add_argument("--out", type=Path, required=True, help="where to write; nothing is written over")


def _demo(options: argparse.Namespace) -> int:
    from kokeilu.datasets.demo import run

    run(options.out)
    return VERIFIED


def _verify(options: argparse.Namespace) -> int:
    from kokeilu.assign.verify import verify
    from kokeilu.io.files import load
    from kokeilu.io.registers import read_register

    if _is_text(options.draw):
        return _verify_certificate(options)
    if extra := [n for n in ("key_file", "secret_file", "commitment", "assignment") if getattr(options, n)]:
        raise FileError(f"--{extra[0].replace('_', '-')} is for a certificate; this is an assignment.")
    assignment = load(options.draw)
    finding = verify(assignment, read_register(options.register, assignment))
    print(assignment.mechanism.describe())
    print(finding)
    return VERIFIED if finding.verified else DIFFERS


def _is_text(path: Path) -> bool:
    """Return whether a file begins as JSON does; one that cannot be opened is left to who reads it."""
    with contextlib.suppress(OSError), path.open("rb") as source:
        return source.read(1) == b"{"
    return False


def _verify_certificate(options: argparse.Namespace) -> int:
    from kokeilu.assign.verify import verify
    from kokeilu.ceremony.certificate import Certificate
    from kokeilu.ceremony.commitment import Commitment
    from kokeilu.ceremony.files import read_text
    from kokeilu.io.files import load

    certificate = Certificate.from_json(read_text(options.draw))
    if options.key_file is None:
        raise FileError("a certificate is verified with the key of its register. Give --key-file.")
    finding = verify(
        certificate,
        _people(options.register, certificate.commitment),
        key=options.key_file,
        secret=options.secret_file,
        commitment=options.commitment and Commitment.from_json(read_text(options.commitment)),
        drawn=options.assignment and load(options.assignment),
    )
    print(certificate.commitment.design.describe())
    print(finding)
    return VERIFIED if finding.verified else DIFFERS


def _people(register: Path, commitment: Commitment) -> object:
    from kokeilu.io.registers import read_people

    whole = commitment.ids == "whole numbers"
    return read_people(register, commitment.design, id=commitment.id, whole_ids=whole)


def _commit(options: argparse.Namespace) -> int:
    from kokeilu.ceremony.commitment import commit
    from kokeilu.ceremony.files import free_path, write_text
    from kokeilu.io.registers import read_people

    out = free_path(options.out)
    design, plan = _design(options.design)
    commitment = commit(
        read_people(options.register, design, id=options.id),
        design,
        id=options.id,
        key=options.key_file,
        source=options.source,
        secret=options.secret_file,
        name=options.name,
        plan=plan,
    )
    write_text(commitment.to_json(), out)
    print(commitment)
    print(f"Publish {out.name} before the public value comes. Keep the key and the secret; show them to nobody.")
    return VERIFIED


def _design(path: Path) -> tuple[Mechanism, Plan | None]:
    from kokeilu.ceremony.commitment import read_design
    from kokeilu.ceremony.files import read_text
    from kokeilu.plan.files import load_plan

    text = read_text(path)
    if b'"kokeilu-plan-file/' not in text[:200]:
        return read_design(text), None
    plan = load_plan(path)
    return plan.design, plan


def _draw(options: argparse.Namespace) -> int:
    from kokeilu.ceremony.commitment import Commitment, some_text
    from kokeilu.ceremony.drawing import draw
    from kokeilu.ceremony.files import free_path, read_text, write_text
    from kokeilu.errors import PlanError
    from kokeilu.io.files import save

    for path in filter(None, (options.out, options.certificate, options.revealed)):
        free_path(path)
    commitment = Commitment.from_json(read_text(options.commitment))
    some_text(options.beacon, name="--beacon", needed="the public value that was awaited, as its source writes it")
    refusal = ""
    try:
        assignment, certificate = draw(
            commitment,
            _people(options.register, commitment),
            key=options.key_file,
            secret=options.secret_file,
            beacon=options.beacon,
        )
    except PlanError as error:
        refusal = str(error)
    if refusal:
        print(f"kokeilu draw: {refusal}", file=sys.stderr)
        return DIFFERS
    save(assignment, options.out)
    write_text(certificate.published(), options.certificate)
    if options.revealed:
        write_text(certificate.revealed(), options.revealed)
    counts = zip(certificate.counts.arms, certificate.counts.total, strict=True)
    print(f"Drawn: {', '.join(f'{arm} {n:,}' for arm, n in counts if n is not None)} of {len(assignment):,} people.")
    print(f"commitment  {certificate.commitment_fingerprint} (compare it with the one that was published)")
    print(f"certificate {certificate.fingerprint}")
    return VERIFIED


def _proof(options: argparse.Namespace) -> int:
    from kokeilu.ceremony.certificate import Certificate
    from kokeilu.ceremony.files import free_path, read_text, write_text
    from kokeilu.ceremony.proofs import proof

    out = free_path(options.out)
    certificate = Certificate.from_json(read_text(options.certificate))
    # From the standard input, an id stays out of the list of processes and of the shell's history.
    given = sys.stdin.readline().strip() if options.person == "-" else options.person
    digits = given.removeprefix("-").isdecimal() and len(given) < 20
    person = int(given) if digits and certificate.commitment.ids == "whole numbers" else given
    table = _people(options.register, certificate.commitment)
    made = proof(certificate, table, person, key=options.key_file, secret=options.secret_file)
    write_text(made.to_json(), out)
    print(f"The proof of one person of {made.people:,} is written. Hand it to nobody else.")
    return VERIFIED


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
