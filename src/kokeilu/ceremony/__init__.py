"""The public draw: a commitment before, a certificate after, and a proof for each person.

Freeze the register and publish its fingerprint with the design and the name of a future public value; draw when the
value is known; let anybody with the register replay, and each person check the own record without seeing others.
"""

from kokeilu.ceremony.certificate import Certificate
from kokeilu.ceremony.commitment import Commitment, commit
from kokeilu.ceremony.drawing import draw
from kokeilu.ceremony.proofs import Proof, check_proof, proof

__all__ = ["Certificate", "Commitment", "Proof", "check_proof", "commit", "draw", "proof"]
