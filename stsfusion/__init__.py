"""stsfusion: spatio-temporal-spectral fusion of satellite image series.

>>> import stsfusion
>>> fused = stsfusion.fuse(rich=hsi, sharp=vnic, dense=wfv, method="stsnet")   # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stsfusion.cube.files import open_cube
    from stsfusion.pipeline.notebook import fuse

__all__ = ["__version__", "fuse", "open_cube"]

__version__ = "0.1.0"

_DOORS = {"fuse": "stsfusion.pipeline.notebook", "open_cube": "stsfusion.cube.files"}


def __getattr__(name: str) -> Any:
    """Open a door only when it is used, so that importing the package costs nothing."""
    if name in _DOORS:
        return getattr(importlib.import_module(_DOORS[name]), name)
    raise AttributeError(f"module 'stsfusion' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
