"""How long threads of one operation of torch keep their cores busy while they wait for each other.

A large network's operation is shared by several threads of the library OpenMP. By default one that
has nothing to do asks again and again for some milliseconds before it sleeps. On a core that other
work wants too, the thread that the others wait for gets its turn later by as much, at each
operation: a step of a ResNet-20 takes 1.8 times as long on two cores with one busy neighbour. Where
no other work is, to sleep soon costs up to a sixth of a step.
"""

from __future__ import annotations

import os

#: The variables by which a user, or a cluster, says how threads wait.
ASKED = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
#: The number of times to ask before sleeping, which GNU's OpenMP takes by itself where it has more
#: threads than cores.
SPINS = 1000


def sleep_soon() -> None:
    """Makes waiting threads of this process, and of those it starts, sleep soon.

    It has to be called before torch is imported, since OpenMP reads the variable once. It changes
    nothing where the environment says how threads wait.
    """
    if not any(name in os.environ for name in ASKED):
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
