"""What is published after a draw, so that anybody can hold it again."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from os import PathLike

from kokeilu._kernels.streams import digest
from kokeilu.assign.verify import Verification
from kokeilu.ceremony.commitment import Commitment
from kokeilu.ceremony.counts import Counts
from kokeilu.ceremony.keys import digest_of, read_key
from kokeilu.ceremony.text import parse
from kokeilu.core.assignment import Assignment
from kokeilu.core.canonical import canonical_json, fingerprint
from kokeilu.errors import SeedError

__all__ = ["Certificate", "seed_of"]

SCHEMA = "kokeilu-certificate/1"


def seed_of(commitment: Commitment, *, beacon: str, key: bytes, secret: bytes) -> bytes:
    """Return the seed of a draw: SHA-256 over tag, secret, beacon, root of the register, hash of the design, and key.

    The key enters as HMAC-SHA-256(key, tag): a draw goes by the order of the ids, so whoever had the seed and could
    tell a person's place among the ids would know the arm. Without the key, which stays with the register, the
    revealed secret tells nobody's arm; the commitment holds the key's digest, so that the key cannot be chosen later.
    """
    root, design = bytes.fromhex(commitment.root), bytes.fromhex(commitment.design_hash)
    keyed = hmac.digest(key, b"kokeilu/seed/1", "sha256")
    return digest(b"kokeilu/seed/1", secret, beacon.encode("utf-8"), root, design, keyed)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Certificate:
    """A commitment, the public value that came, and what was drawn: enough to hold the draw again.

    Attributes
    ----------
    commitment : Commitment
    commitment_fingerprint : str
        As it stands in the certificate; :func:`kokeilu.verify` compares.
    beacon : str
        The public value.
    counts : Counts
        People by arm and stratum; small cells are pooled.
    result_root : str
        Root of the hash tree over the records with their arms.
    stated : str
        The certificate's fingerprint as it stands in its text.
    secret : bytes or None
        None in a certificate read from a text that does not reveal it. Never shown but by :meth:`revealed`.
    """

    commitment: Commitment
    commitment_fingerprint: str
    beacon: str
    counts: Counts
    result_root: str
    stated: str = ""
    secret: bytes | None = field(default=None, compare=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what is published, the same before and after the secret is revealed."""
        return fingerprint(self._body())

    def _body(self) -> dict[str, object]:
        return {
            "schema": SCHEMA,
            "commitment": self.commitment.to_data(),
            "commitment_fingerprint": self.commitment_fingerprint,
            "beacon": self.beacon,
            "counts": self.counts.to_data(),
            "result_root": self.result_root,
        }

    def published(self) -> str:
        """Return the canonical JSON to publish at once: it does not hold the secret."""
        return self._text(None)

    def revealed(self, secret: bytes | str | PathLike[str] | None = None) -> str:
        """Return the canonical JSON to publish once everybody has been told: it holds the secret.

        The seed itself is never published: it is made with the key, so that the text tells nobody's arm.

        Parameters
        ----------
        secret : bytes or path, optional
            Needed where the certificate was read from a text that does not hold it.

        Raises
        ------
        SeedError
            Where the secret is absent, or not the one that was committed to.
        """
        return self._text(self.known_secret(secret))

    def known_secret(self, secret: bytes | str | PathLike[str] | None = None) -> bytes:
        """Return the secret, given or held, when it is the one that was committed to."""
        known = self.secret if secret is None else read_key(secret, what="secret")
        if known is None:
            raise SeedError("the certificate does not reveal the secret. Take the one that does, or give the secret.")
        if digest_of(known, "secret") != self.commitment.secret_digest:
            raise SeedError("the secret is not the one that was committed to. Give the one of the commitment.")
        return known

    def _text(self, secret: bytes | None) -> str:
        shown = None if secret is None else secret.hex()
        return canonical_json({**self._body(), "secret": shown, "fingerprint": self.fingerprint})

    @classmethod
    def from_json(cls, text: str | bytes) -> Certificate:
        """Rebuild a certificate from :meth:`published` or :meth:`revealed`.

        Raises
        ------
        FileError
            Where the text is not, to the byte, in the form that they write. Whether it is true is for
            :func:`kokeilu.verify` to say.
        """
        reader = parse(text, schema=SCHEMA, what="the certificate")
        names = ("commitment", "commitment_fingerprint", "beacon", "counts", "result_root")
        reader.only("schema", *names, "secret", "fingerprint")
        hidden = reader.get("secret") is None
        return cls(
            commitment=Commitment.from_data(reader.part("commitment")),
            commitment_fingerprint=reader.hex("commitment_fingerprint"),
            beacon=reader.text("beacon"),
            counts=Counts.from_data(reader.part("counts")),
            result_root=reader.hex("result_root"),
            stated=reader.hex("fingerprint"),
            secret=None if hidden else bytes.fromhex(reader.hex("secret", width=None)),
        )

    def replay(
        self,
        table: object,
        *,
        key: bytes | str | PathLike[str],
        secret: bytes | str | PathLike[str] | None = None,
        commitment: Commitment | None = None,
        drawn: Assignment | None = None,
    ) -> Verification:
        """Hold the draw again and name what differs; :func:`kokeilu.verify` calls this.

        Parameters
        ----------
        table : pandas, pyarrow or Arrow-capable table
            The register as it was frozen, in any row order.
        key : bytes or path
        secret : bytes or path, optional
            Needed where the certificate does not reveal it.
        commitment : Commitment, optional
            As it was published before the draw: shows that the certificate holds the same.
        drawn : Assignment, optional
            The assignment that is used: shows that it is the one certified.

        Returns
        -------
        Verification
        """
        from kokeilu.ceremony.checking import Evidence, check

        evidence = Evidence(key=key, secret=secret, commitment=commitment, drawn=drawn)
        return check(self, table, evidence)

    def __str__(self) -> str:
        told = "not revealed" if self.secret is None else "held"
        lines = [f"Certificate{f' of {self.commitment.name}' if self.commitment.name else ''}.", str(self.counts)]
        lines += [f"public value: {self.beacon}", f"commitment  {self.commitment_fingerprint}"]
        return "\n".join([*lines, f"result      {self.result_root}", f"secret {told}; fingerprint {self.fingerprint}"])

    __repr__ = __str__
