"""Chooses the device and the backend of a run: what can compute it, and which is the fastest."""

from engine.run.choosing.backend import Choice, choose_backend
from engine.run.choosing.device import choose_device
from engine.run.choosing.making import backend_of, backend_to_verify
from engine.run.choosing.possible import Impossible, most_of

__all__ = [
    "Choice",
    "Impossible",
    "backend_of",
    "backend_to_verify",
    "choose_backend",
    "choose_device",
    "most_of",
]
