"""A network that a function of the user's own returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from engine.networks.base import NetworkKeys, Reads
from engine.part import FunctionName

if TYPE_CHECKING:
    from torch import nn


class CustomNetwork(NetworkKeys):
    """An nn.Module that a function of the user's own returns, with fresh random weights."""

    kind: Literal["custom"]
    factory: FunctionName
    """The function, as package.module:function or file.py:function."""
    args: dict[str, Any] = Field(default={})
    """The function's keyword arguments."""
    recompute: tuple[str, ...] = ()
    """The names of modules, such as layer1, whose inner values are not kept for the gradient but
    computed again, to save memory; of an nn.Sequential, each of its modules by itself. The backend
    is then loop."""

    reads: ClassVar[Reads] = "anything"

    @property
    def takes(self) -> None:
        """None, because only the module knows it."""
        return None

    @property
    def gives(self) -> None:
        """None, because only the module knows it."""
        return None

    @property
    def parameter_count(self) -> None:
        """None, because only the module knows it."""
        return None

    @property
    def recomputed(self) -> tuple[str, ...]:
        """The names of the modules whose inner values a gradient computes again."""
        return self.recompute

    @property
    def words(self) -> str:
        """The name of the function."""
        return self.factory

    def build(self) -> nn.Module:
        """Calls the function and returns its module.

        Raises InputError where the function fails, returns no module, or returns one whose
        parameters cannot all be moved.
        """
        from engine.networks.modules.custom import build_custom

        return build_custom(self)
