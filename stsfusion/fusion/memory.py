"""Memory: how many bytes of tensors a piece of work holds at once, at its worst, on any device."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from stsfusion.fusion.answer import Answer, Factored

__all__ = ["peak_bytes"]


class _Live(TorchDispatchMode):
    """Counts the bytes of all tensor storages that are alive, and their peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {each.untyped_storage()._cdata for each in args if isinstance(each, Tensor)}
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage(), given)
        return out

    def _add(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        """Count it, unless it is a view of what was given: that was counted, or was there before."""
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen or key in given:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def peak_bytes(work: Callable[[], Answer]) -> int:
    """Peak of the bytes that tensors made inside `work` hold at once; inputs do not count."""
    gc.collect()
    with torch.no_grad(), _Live() as live:
        answer = work()
    size = answer.values.coefficients if isinstance(answer.values, Factored) else answer.values
    return max(live.peak, size.untyped_storage().nbytes())
