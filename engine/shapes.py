"""The types of tensors, with the names of their axes. The tests check them at run time.

- bead: one weight vector of a batch or of a string
- param: one entry of a weight vector
- segment: two neighbouring beads of a string
- point: one value of t on a segment
- sample: one sample of the data
- step: one step of a round of training
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
