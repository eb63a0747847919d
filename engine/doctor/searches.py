"""The small searches by which a machine is checked, one for each kind of network. No torch here."""

from __future__ import annotations

from typing import Any

from engine.spec.keys import Spec
from engine.spec.validation import validated

HERE = "engine.doctor.samples"


def _own(function: str) -> dict[str, str]:
    """Returns the keys that name one of our functions in the way a user names his."""
    return {"kind": "custom", "factory": f"{HERE}:{function}"}


CONV: dict[str, Any] = {"kind": "conv", "channels": 4}

#: The problem of each kind of network, by its name in the report.
PROBLEMS: dict[str, dict[str, Any]] = {
    "mlp": {
        "data": {"kind": "polynomial", "coefficients": [0.1, 0.25, 0.5], "points": 48},
        "network": {"kind": "mlp", "sizes": [1, 5, 4, 1], "activation": "tanh"},
        "loss": "mse",
    },
    "cnn": {
        "data": _own("images"),
        "network": {
            "kind": "cnn",
            "input": [1, 7, 7],
            "layers": [CONV, {"kind": "pool"}, CONV, {"kind": "dense", "units": 6}],
            "outputs": 3,
        },
        "loss": "cross_entropy",
    },
    "resnet": {
        "data": _own("images"),
        "network": {"kind": "resnet", "input": [1, 7, 7], "widths": [4, 5], "outputs": 3},
        "loss": "cross_entropy",
    },
    "lstm": {
        "data": _own("tokens"),
        "network": {"kind": "lstm", "vocabulary": 9, "embedding": 5, "hidden": 6},
        "loss": "cross_entropy",
    },
    "custom": {
        "data": _own("values"),
        "network": _own("module"),
        "loss": "cross_entropy",
    },
}

#: How ends and beads are trained: some rounds of a few steps on mini-batches.
TRAINING: dict[str, Any] = {
    "optimizer": {"kind": "adam", "lr": 0.01},
    "batch_size": 16,
    "check_every": 4,
}


def search_of(network: str, device: str, backend: str) -> Spec:
    """Returns the search with a kind of network on some devices, with a backend.

    It ends after few steps: two ends by their recipe, and at least one bead between them.
    """
    tree = {
        "problem": PROBLEMS[network],
        "endpoints": TRAINING | {"until": "epochs", "epochs": 4},
        "search": {
            "method": "greedy",
            "level": {"times_ends": 1.5},
            "min_inner_beads": 1,
            "batching": backend,
            "greedy": TRAINING | {"max_steps": 12, "grid": 5, "max_depth": 2},
            "certify": "off",
            "audit": {"grid": "coarse"},
        },
        "limits": {"beads": 4},
        "device": device,
        "workers": 1,
    }
    return validated(Spec, tree)
