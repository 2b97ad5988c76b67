"""Mechanisms, one to a file, and the draw: randomise, verify, adopt.

Importing the room registers its mechanisms, so that files and plans can be read back.
"""

from kokeilu.assign.adaptive import Adaptive
from kokeilu.assign.adopt import adopt
from kokeilu.assign.bernoulli import Bernoulli
from kokeilu.assign.capacity import CapacityLottery
from kokeilu.assign.clustered import Clustered
from kokeilu.assign.complete import Complete
from kokeilu.assign.factorial import Factorial
from kokeilu.assign.fixed import Fixed
from kokeilu.assign.gram_schmidt import GramSchmidtWalk
from kokeilu.assign.law import law
from kokeilu.assign.matched import MatchedTuples
from kokeilu.assign.merged import Merged, merge_arms
from kokeilu.assign.next_wave import next_wave, wave_shares
from kokeilu.assign.offers import offers
from kokeilu.assign.prognostic import PrognosticScore, prognostic_score
from kokeilu.assign.quantiles import StratifiedByQuantiles
from kokeilu.assign.randomise import randomise
from kokeilu.assign.rerandomised import Rerandomised
from kokeilu.assign.saturation import Saturation
from kokeilu.assign.stepped_wedge import SteppedWedge
from kokeilu.assign.stratified import Stratified
from kokeilu.assign.threshold import ThresholdBlocks
from kokeilu.assign.verify import Check, Verification, verify
from kokeilu.assign.waves import Waves

__all__ = [
    "law",
    "Adaptive",
    "Bernoulli",
    "CapacityLottery",
    "Check",
    "Clustered",
    "Complete",
    "Factorial",
    "Fixed",
    "GramSchmidtWalk",
    "MatchedTuples",
    "Merged",
    "PrognosticScore",
    "Rerandomised",
    "Saturation",
    "SteppedWedge",
    "Stratified",
    "StratifiedByQuantiles",
    "ThresholdBlocks",
    "Verification",
    "Waves",
    "adopt",
    "merge_arms",
    "next_wave",
    "offers",
    "prognostic_score",
    "randomise",
    "verify",
    "wave_shares",
]
