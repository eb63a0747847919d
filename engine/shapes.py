"""The names of the axes, one page for all of the engine (checked at run time in the tests).

bead: a weight vector of a batch or a string · param: its entries · segment: a pair of adjacent
beads · point: a value of t on a segment · sample: of the data · step: of a round of training.
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

Weights = Float[Tensor, " param"]
Beads = Float[Tensor, "bead param"]
PerBead = Float[Tensor, " bead"]
BeadMask = Bool[Tensor, " bead"]
Steps = Int[Tensor, " bead"]
Batches = Int[Tensor, "bead sample"]
Rounds = Int[Tensor, "bead step sample"]
Points = Float[Tensor, " point"]
Rows = Int[Tensor, " point"]
Pairs = Float[Tensor, "segment param"]
Samples = Float[Tensor, "sample ..."]
Targets = Float[Tensor, "sample output"] | Int[Tensor, " sample"]
