"""Kept: records of tensors that go into a method's state and come back from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self

from torch import Tensor

from stsfusion.errors import MethodError

__all__ = ["Kept", "joined", "under"]


class Kept:
    """Base of dataclasses whose fields are tensors and nothing else."""

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from.

        Raises
        ------
        MethodError
            When one lacks: what another version learned.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        lacking = [name for name in names if name not in tensors]
        if lacking:
            raise MethodError(
                f"what was learned, its part {cls.__name__}",
                expected=", ".join(names),
                got=f"no {', '.join(lacking)}",
                mend="Another version of stsfusion learned it: learn anew, with 'stsfusion update --refit'.",
            )
        return cls(**{name: tensors[name] for name in names})


def joined(parts: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of several records, each name behind its record's and a dot."""
    return {f"{part}.{name}": t for part, thing in parts.items() for name, t in thing.tensors().items()}


def under(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """What `joined` put behind this record's name."""
    front = f"{part}."
    return {name.removeprefix(front): t for name, t in tensors.items() if name.startswith(front)}
