"""How fast GPUs are beside each other, so that each gets as much as it can do in the same time."""

from __future__ import annotations

from collections.abc import Sequence

#: The share with which the newest call counts.
NEWEST = 0.3


class Speeds:
    """The workers' shares of a call, learned from calls in which all of them took part.

    A small call takes as long as its launches, whatever it computes, so that the samples a second
    of two calls cannot be compared; those of the workers within a call can.
    """

    def __init__(self, workers: int) -> None:
        """Begins with equal shares."""
        self._shares = [1.0] * workers

    def learn(self, speeds: Sequence[float]) -> None:
        """Takes over the samples per second of each worker in one call."""
        mean = sum(speeds) / len(speeds)
        for number, speed in enumerate(speeds):
            self._shares[number] += NEWEST * (speed / mean - self._shares[number])

    def of_first(self, count: int) -> list[float]:
        """Returns the shares of the first workers. Those of all workers have the mean 1."""
        return self._shares[:count]
