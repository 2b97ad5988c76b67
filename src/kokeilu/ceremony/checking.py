"""Comparing what was committed to with what is there, and replaying a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from kokeilu._checks import count_of
from kokeilu.assign.randomise import draw_population
from kokeilu.assign.verify import Check, Verification
from kokeilu.ceremony.commitment import Commitment
from kokeilu.ceremony.counts import count_draw
from kokeilu.ceremony.frame import KEYED, NUMBER, Frame, freeze
from kokeilu.ceremony.keys import digest_of, read_key
from kokeilu.ceremony.source import library_version, source_hash
from kokeilu.core.assignment import Assignment, check_assignment
from kokeilu.core.canonical import fingerprint
from kokeilu.core.population import Population
from kokeilu.core.register import read_register
from kokeilu.core.registry import encode
from kokeilu.errors import DesignError, KokeiluError, PlanError

if TYPE_CHECKING:
    from kokeilu.ceremony.certificate import Certificate

__all__ = ["Evidence", "check", "check_commitment", "compare_code", "compare_inputs", "compare_register", "keyed_names"]

Key = bytes | str | PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Evidence:
    """What a replay is held with."""

    key: Key
    secret: Key | None = None
    commitment: Commitment | None = None
    drawn: Assignment | None = None


def check_commitment(value: object) -> Commitment:
    """Return the value when it is a commitment."""
    if not isinstance(value, Commitment):
        raise PlanError(
            f"a commitment is needed, from commit(...) or Commitment.from_json(text); got {type(value).__name__}."
        )
    return value


def compare_inputs(commitment: Commitment, *, key: bytes, secret: bytes | None) -> list[Check]:
    """Compare design, key and secret with a commitment."""
    found = fingerprint(encode(commitment.design))
    checks = [_same("design", found == commitment.design_hash, "the rule", "it is not the rule whose hash is stated")]
    same = digest_of(key, "key") == commitment.key_digest
    checks.append(_same("key", same, "the key", "this is not the key that was committed to"))
    if secret is None:
        finding = "the certificate does not reveal it: wait for the one that does, or give the secret"
        return [*checks, Check(check="secret", holds=None, finding=finding)]
    same = digest_of(secret, "secret") == commitment.secret_digest
    return [*checks, _same("secret", same, "the secret", "this is not the secret that was committed to")]


def _same(check: str, holds: bool, what: str, otherwise: str) -> Check:
    return Check(check=check, holds=holds, finding=f"{what} is the one committed to" if holds else otherwise)


def compare_code(commitment: Commitment) -> Check:
    """Compare the code that runs with the code committed to."""
    then, now = (commitment.version, commitment.source_code), (library_version(), source_hash())
    if then == now:
        return Check(check="code", holds=True, finding=f"kokeilu {now[0]}, source {now[1][:12]}")
    words = [f"kokeilu {version} (source {source[:12]})" for version, source in (then, now)]
    return Check(check="code", holds=False, finding=f"committed to was {words[0]}, and this is {words[1]}")


def compare_register(
    commitment: Commitment, population: Population, *, key: bytes, secret: bytes
) -> tuple[Check, Frame | None]:
    """Compare a register with the root committed to; the frame where it is the same."""
    people = len(population)
    finding = ""
    if people != commitment.people:
        finding = f"{count_of(commitment.people, 'person')} committed to, {people:,} in the register"
    elif population.ids.kind != commitment.ids:
        finding = f"the ids committed to are {commitment.ids}, those of the register {population.ids.kind}"
    elif sorted(name for name, _ in commitment.columns) != sorted({*population.factors, *population.numbers}):
        finding = "the columns committed to are not those of the design"
    elif {name for name, kind in commitment.columns if kind == NUMBER} != set(population.numbers):
        finding = "a column that held numbers as it was frozen holds text or categories, or the other way round"
    if finding:
        return Check(check="register", holds=False, finding=finding), None
    frame = freeze(population, commitment.columns, key=key, secret=secret)
    if frame.root != commitment.root:
        finding = "at least one id, or one value of a column of the design, is not as it was frozen"
        return Check(check="register", holds=False, finding=finding), None
    return Check(check="register", holds=True, finding=f"the same {people:,} people and values"), frame


def check(certificate: Certificate, table: object, evidence: Evidence) -> Verification:
    """Hold the draw of a certificate again."""
    commitment = certificate.commitment
    key = read_key(evidence.key, what="key")
    secret = certificate.secret if evidence.secret is None else read_key(evidence.secret, what="secret")
    checks = [*_own(certificate, evidence), *compare_inputs(commitment, key=key, secret=secret)]
    population = _read(commitment, table, sound=all(c.holds for c in checks))
    frame: Frame | None = None
    if population is None or any(c.check in ("key", "secret") and not c.holds for c in checks) or secret is None:
        checks.append(Check(check="register", holds=None, finding="not compared, for what stands above"))
    else:
        compared, frame = compare_register(commitment, population, key=key, secret=secret)
        checks.append(compared)
    if population is None or frame is None or secret is None:
        checks.append(Check(check="result", holds=None, finding="no replay, for what stands above"))
    else:
        checks += _replay(certificate, population, frame, (key, secret), evidence)
    return Verification(checks=tuple(checks), fingerprint=certificate.fingerprint)


def _own(certificate: Certificate, evidence: Evidence) -> list[Check]:
    now, stated = certificate.commitment.fingerprint, certificate.commitment_fingerprint
    whole = certificate.stated in ("", certificate.fingerprint)
    checks = [
        Check(
            check="certificate",
            holds=whole,
            finding="its text is whole" if whole else "its text was changed: its fingerprint is not the one it states",
        ),
        _same(
            "commitment", now == stated, "its text", "its text is not the one whose fingerprint the certificate states"
        ),
    ]
    if evidence.commitment is not None:
        same = check_commitment(evidence.commitment).fingerprint == stated
        checks.append(_same("published commitment", same, "the text", "the certificate is of another commitment"))
    return checks


def _read(commitment: Commitment, table: object, *, sound: bool) -> Population | None:
    try:
        return read_register(table, commitment.design, id=commitment.id)[0]
    except KokeiluError:
        # A changed text may ask for columns that no register has; then the text is at fault, not the register.
        if sound:
            raise
    return None


def _replay(
    certificate: Certificate, population: Population, frame: Frame, known: tuple[bytes, bytes], evidence: Evidence
) -> list[Check]:
    from kokeilu.ceremony.certificate import seed_of

    commitment = certificate.commitment
    key, secret = known
    seed = seed_of(commitment, beacon=certificate.beacon, key=key, secret=secret)
    trouble = ""
    try:
        drawn = draw_population(population, commitment.design, seed=seed)
    except DesignError as error:
        trouble = str(error)
    if trouble:
        return [Check(check="result", holds=False, finding=f"the design does not fit the register: {trouble}")]
    root = frame.result(drawn.codes, drawn.arms.names)[-1].hex()
    holds = root == certificate.result_root
    finding = f"all {len(drawn):,} people get the same arm"
    checks = [Check(check="result", holds=holds, finding=finding if holds else "the replay gives another result")]
    counts = count_draw(drawn, keyed_names(commitment)) == certificate.counts
    checks.append(
        Check(check="counts", holds=counts, finding="as drawn" if counts else "the counts are not those of the draw")
    )
    if evidence.drawn is not None:
        checks.append(_assignment(drawn, check_assignment(evidence.drawn), commitment.plan))
    code = compare_code(commitment)
    if not code.holds:
        # The draw of a mechanism is the same in every version: the replay itself has just shown it, or not.
        told = "; it gives the same result" if holds else "; replay with the version committed to"
        code = Check(check="code", holds=True if holds else None, finding=code.finding + told)
    return [*checks, code]


def keyed_names(commitment: Commitment) -> frozenset[str]:
    """Return the columns whose values may name a person."""
    return frozenset(name for name, kind in commitment.columns if kind == KEYED)


def _assignment(drawn: Assignment, given: Assignment, plan: str | None) -> Check:
    finding = ""
    if given.frame_fingerprint != drawn.frame_fingerprint:
        finding = "it is of other people or values"
    elif given.design_fingerprint != drawn.design_fingerprint:
        finding = "it is of another design"
    elif given.seed != drawn.seed or given.plan_fingerprint != plan:
        finding = "it has another seed" if given.seed != drawn.seed else "it is of another plan"
    elif moved := int((given.codes != drawn.codes).sum()):
        finding = f"it gives another arm to {count_of(moved, 'person')}"
    return Check(check="assignment", holds=not finding, finding=finding or "it is the draw certified")
