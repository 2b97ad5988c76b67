"""Mechanisms, one to a file, and the draw: randomise, verify, adopt.

Importing the room registers its mechanisms, so that files and plans can be read back.
"""

from kokeilu.assign.adopt import adopt
from kokeilu.assign.bernoulli import Bernoulli
from kokeilu.assign.clustered import Clustered
from kokeilu.assign.complete import Complete
from kokeilu.assign.randomise import randomise
from kokeilu.assign.stratified import Stratified
from kokeilu.assign.verify import Check, Verification, verify

__all__ = [
    "Bernoulli",
    "Check",
    "Clustered",
    "Complete",
    "Stratified",
    "Verification",
    "adopt",
    "randomise",
    "verify",
]
