"""The embedding model of this process, which its parts ask for when they need it."""

from __future__ import annotations

from context_api.adapters.index.state import Model
from memory_core.errors import Unavailable


class ModelInUse:
    """The model whose vectors this process asks and makes; none before it is loaded."""

    def __init__(self) -> None:
        self.current: Model | None = None

    @property
    def required(self) -> Model:
        """The model.

        Raises:
            Unavailable: none is loaded.
        """
        if self.current is None:
            raise Unavailable("no embedding model is loaded")
        return self.current
