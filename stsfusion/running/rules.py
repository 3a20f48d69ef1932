"""Rules: how workers are dealt with that fail, die or are slow, and what may be sent to them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stsfusion.errors import PlanError

__all__ = ["Rules", "check_distinct", "check_light", "check_weight"]

Pickled = Callable[[Any], bytes]
"""How things are made ready for other processes."""

_SMALL = 10_000
"""Bytes that a task or its result may weigh when pickled."""


def _keep_silent(words: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What holds for the workers of every Dask scheduler, wherever they are."""

    limit: float | None = None
    """Seconds a task may take before its process is ended; None: no limit."""

    retries: int = 2
    """How often a task is begun anew after its process died; a scheduler elsewhere has its own limit too."""

    patience: float = 60.0
    """Seconds to wait for a worker when there is none, and for a scheduler elsewhere to answer."""

    tell: Callable[[str], None] = field(default=_keep_silent, compare=False, repr=False)
    """Where they say what people may want to know, such as the dashboard's address."""


def check_distinct(keys: Sequence[Hashable]) -> None:
    """Refuse a key that is there twice."""
    if len(set(keys)) < len(keys):
        raise PlanError(
            "keys of a run", expected="distinct ones", got="a key twice", mend="Plan each tile once."
        )


def check_light(work: Callable[..., Any], keys: Sequence[Hashable], pickled: Pickled) -> None:
    """Refuse, before anything is begun, keys that are there twice and a task that would carry data."""
    check_distinct(keys)
    weight = check_weight("task's function", work, pickled)
    for key in keys:
        check_weight(f"task {str(key)[:80]}", key, pickled, weight)


def check_weight(what: str, thing: object, pickled: Pickled, already: int = 0) -> int:
    """Bytes of a thing between processes, or a refusal of what is too heavy or cannot be pickled.

    Parameters
    ----------
    what
        Its name for people.
    thing
        What would be sent.
    pickled
        How it would be.
    already
        Bytes that go with it.
    """
    try:
        weight = len(pickled(thing)) + already
    except Exception as error:
        raise PlanError(
            what,
            expected="something that can be pickled",
            got=str(error)[:300],
            mend="Give paths, not open things.",
        ) from error
    if weight > _SMALL:
        raise PlanError(
            what,
            expected=f"under {_SMALL} bytes between processes",
            got=f"{weight} bytes",
            mend="Give the path of what is large and let the worker open it.",
        )
    return weight
