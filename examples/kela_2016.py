"""The lottery of Finland's basic income experiment, replayed as it was drawn in 2016 and as it should have been.

Kela drew 2,000 people from about 175,000 and published the code of the draw. Its seed was the clock: the seconds since
midnight. On a made-up register of the same size this shows what that means. There were 86,400 possible samples and no
more; whoever holds the register and knows a few of those drawn finds the second, and with it everybody; and an operator
could have run it until a sample pleased. Then the same lottery as a public draw: register and rule frozen first, the
seed decided by a public value that comes later, and a proof for each person. Only the rule of the seed is Kela's: the
people are made up, and the shuffle is kokeilu's. Source: kela.fi/perustulokokeilun-otantakoodi, December 2016.

Run it with ``python examples/kela_2016.py``.
"""

from __future__ import annotations

from hashlib import sha256
from math import log2, sqrt
from typing import Any

import numpy as np

import kokeilu as kk

PEOPLE, SAMPLE = 175_000, 2_000
SECONDS = 24 * 60 * 60
RUN_AT = 10 * 3600 + 17 * 60 + 23  # nobody outside knows it
KNOWN = 5  # people who have told that they were drawn
WINDOW = range(10 * 3600 + 16 * 60 + 30, 10 * 3600 + 18 * 60)  # the day's log says: about 10.17


def title(text: str) -> None:
    """Print an underlined title."""
    print(f"\n{text}\n{'-' * len(text)}")


def as_it_was(register: dict[str, Any], design: kk.Complete) -> None:
    """Draw with the clock as the seed, and find the second from five people."""
    drawn = kk.randomise(register, design, id="id", seed=RUN_AT)
    sample = set(np.flatnonzero(drawn.codes))
    found = kk.law(drawn)
    print(found)
    print(f"\npossible samples by the rule    2 to the power {(found.log10_allocations or 0) * log2(10):,.0f}")
    print(f"possible samples by the clock   {SECONDS:,}, or 2 to the power {log2(SECONDS):.1f}")

    share = SAMPLE / PEOPLE
    spread = sqrt(share * (1 - share) / SECONDS)
    low, high = share - 4.4 * spread, share + 4.4 * spread
    print(f"chance of a person              {share:.4%} on paper; about {low:.2%} to {high:.2%} over all clock seeds,")
    print("                                by the luck of 86,400 fixed lists")
    tries = 1 - (1 - share) ** 60
    print(f"a friend is in the sample       with {tries:.0%} in one of 60 runs within a minute: nobody outside can")
    print("                                tell whether it was run once")

    known = sorted(sample)[:: SAMPLE // KNOWN][:KNOWN]
    hits = [s for s in WINDOW if kk.randomise(register, design, id="id", seed=s).codes[known].all()]
    clock = f"{hits[0] // 3600:02d}.{hits[0] % 3600 // 60:02d}.{hits[0] % 60:02d}"
    print(f"\n{KNOWN} people who were drawn, tried on {len(WINDOW)} seconds: {len(hits)} second fits, {clock}.")
    again = kk.randomise(register, design, id="id", seed=hits[0])
    same = set(np.flatnonzero(again.codes)) == sample
    print(f"The other {SAMPLE - KNOWN:,} are known with it: {'yes' if same else 'no'}.")


def as_it_should_be(register: dict[str, Any], design: kk.Complete) -> None:
    """Commit, wait for a public value, draw, verify, and give one person a proof."""
    # For the example only: real ones are 32 random bytes each, from the operating system, and nobody sees them.
    key, secret = (sha256(word.encode()).digest() for word in ("example key", "example secret"))
    commitment = kk.commit(
        register,
        design,
        id="id",
        key=key,
        secret=secret,
        source="Lotto, main numbers of 10 December 2016, from the paper of the day after",
        name="Basic income experiment, treatment group",
    )
    print("Published before the draw, in the law's own annex if need be:")
    print("\n".join(f"  {line[:110]}" for line in str(commitment).splitlines()))

    drawn, certificate = kk.draw(commitment, register, key=key, secret=secret, beacon="3 8 14 21 22 29 36")
    print("\nDrawn once the numbers were out (here: invented ones):", drawn.counts())
    print(kk.verify(certificate, register, key=key))
    mine = kk.proof(certificate, register, 4_711, key=key)
    print("\nOne person's own proof, checked without the register or anybody else's data:")
    print(kk.check_proof(mine, certificate))


def main() -> None:
    """Replay the lottery both ways."""
    register = {"id": np.arange(1, PEOPLE + 1)}
    design = kk.Complete(kk.arms({"verrokki": PEOPLE - SAMPLE, "perustulo": SAMPLE}))

    title(f"As it was: {SAMPLE:,} of {PEOPLE:,}, seed = seconds since midnight")
    as_it_was(register, design)

    title("As it should have been: a public draw")
    as_it_should_be(register, design)


if __name__ == "__main__":
    main()
