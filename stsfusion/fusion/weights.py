"""Weights at rest: what `fit` learned, as safetensors beside the settings it goes with. Never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from stsfusion.errors import MethodError
from stsfusion.fusion.method import FusionMethod

__all__ = ["fingerprint", "load_state", "save_state", "settings_of"]


def settings_of(method: FusionMethod) -> dict[str, Any]:
    """The method's name and fields as plain data; methods that hold methods nest."""
    own = fields(method)  # type: ignore[arg-type]
    plain = {field.name: _plain(getattr(method, field.name)) for field in own if field.init}
    return {"name": method.card.name, **plain}


def _plain(value: Any) -> Any:
    if isinstance(value, FusionMethod):
        return settings_of(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def fingerprint(method: FusionMethod) -> str:
    """A sha256 over the settings and every byte of the state."""
    digest = hashlib.sha256(json.dumps(settings_of(method), sort_keys=True).encode())
    for name, tensor in sorted(method.state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_state(method: FusionMethod, path: Path) -> None:
    """Write the state to a .safetensors file, the settings into its header."""
    # Each in a memory of its own: safetensors refuses names that share one.
    tensors: dict[str, Tensor] = {
        k: t.detach().cpu().clone(memory_format=torch.contiguous_format) for k, t in method.state.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(save(tensors, {"settings": json.dumps(settings_of(method), sort_keys=True)}))
        file.flush()
        os.fsync(file.fileno())  # a power cut must not leave a whole header before blank weights
    partial.replace(path)


def load_state(method: FusionMethod, path: Path) -> FusionMethod:
    """The method with the state of a file that was saved for the same settings.

    Raises
    ------
    MethodError
        When the file is missing, damaged, or was saved by another method or for other settings.
    """
    wanted = json.dumps(settings_of(method), sort_keys=True)
    try:
        with safe_open(path, framework="pt") as file:
            saved = (file.metadata() or {}).get("settings", "")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise MethodError(f"weights {path}", expected="a safetensors file", got=str(error)) from error
    if saved != wanted:
        raise MethodError(
            f"weights {path}",
            expected=f"settings {wanted}",
            got=saved or "none",
            mend="Fit the method again, or ask for the settings it was fitted with.",
        )
    return method.with_state(state) if state else method
