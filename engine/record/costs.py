"""What a search has computed, counted in passes of single samples through its network. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from engine.record.marks import Count


@dataclass(frozen=True)
class Costs:
    """The numbers of samples that were passed through the network, each for one model.

    Passes whose results are not used count for nothing, as those of a row that has ended within a
    round, which a batch computes because its mates go on. So the same search costs the same on any
    device, alone and among others.
    """

    sample_gradients: Count = 0
    """Number of passes forward and back. A step of a bead on a batch of n samples counts n. Exact.
    """
    forward_samples: Count = 0
    """Number of passes forward alone. Never less than the true number: an evaluation that ends
    early counts as a whole one, and each inner bead of a string that is respaced as moved."""

    def __add__(self, other: Costs) -> Costs:
        """Returns what both cost together."""
        return Costs(
            self.sample_gradients + other.sample_gradients,
            self.forward_samples + other.forward_samples,
        )


NOTHING = Costs()
