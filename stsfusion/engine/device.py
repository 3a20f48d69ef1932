"""Device: what is different when tiles are fused on a GPU. On a CPU all of it does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

__all__ = ["aside", "give_back", "settle"]


def settle(device: str) -> None:
    """Wait until the device has done what this thread asked of it."""
    if torch.device(device).type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def give_back(device: str) -> None:
    """Let others have the memory that is cached and not in use."""
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()


@contextmanager
def aside(device: str) -> Iterator[None]:
    """Let a GPU do what this thread asks beside what others ask; what they made must have settled."""
    if torch.device(device).type != "cuda":
        yield
        return
    with torch.cuda.stream(_other(device)):
        yield
        settle(device)


@cache
def _other(device: str) -> torch.cuda.Stream:
    """One stream for all tiles: torch keeps memory that was freed for the stream that used it."""
    return torch.cuda.Stream(device)
