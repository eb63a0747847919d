"""A loss plane that is a quadratic bowl, of which everything is known."""

from __future__ import annotations

from engine.record.loss_plane import LossPlane, PlaneBead
from engine.spec.level import LevelOn

X = tuple(-2 + 6 * at / 20 for at in range(21))
Y = tuple(-2 + 5 * at / 20 for at in range(21))


def bowl(x: float, y: float) -> float:
    """Twice the level where (x − 1)² + 2 (y − ½)² is 1.8."""
    return 0.2 + (x - 1) ** 2 + 2 * (y - 0.5) ** 2


def plane_of(level: float = 2.0, **more: object) -> LossPlane:
    known = {
        "beads": (41, 43, 33),
        "level_on": LevelOn(),
        "level": level,
        "time": 1.0,
        "precision": "float64",
        "x": X,
        "y": Y,
        "losses": tuple(tuple(bowl(x, y) for x in X) for y in Y),
        "corners": (
            PlaneBead(41, 0.0, 0.0, 0.0, bowl(0.0, 0.0)),
            PlaneBead(43, 2.0, 0.0, 0.0, bowl(2.0, 0.0)),
            PlaneBead(33, 1.5, 1.0, 0.0, bowl(1.5, 1.0)),
        ),
        "string": (
            PlaneBead(41, 0.0, 0.0, 0.0, bowl(0.0, 0.0)),
            PlaneBead(5, 0.3, 2.5, 0.7, 1.9),
            PlaneBead(33, 1.5, 1.0, 0.0, bowl(1.5, 1.0)),
        ),
    }
    return LossPlane(**known | more)  # type: ignore[arg-type]
