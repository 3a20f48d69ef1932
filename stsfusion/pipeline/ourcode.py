"""Our code: which code makes numbers in this process, so that no tile is taken from another one's."""

from __future__ import annotations

import json

import stsfusion
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code, fingerprint_of_parts
from stsfusion.pipeline.onecode import require_same

__all__ = ["our_code", "require_code"]

_looked: dict[str, tuple[str, str]] = {}
"""What was found for each method and its settings."""


def our_code(method: FusionMethod) -> str:
    """One sha256 over the code by which a method fuses tiles, and the version.

    A process looks at the files of a method once: those that are replaced later are not what it runs.
    """
    name = f"{type(method)} {json.dumps(settings_of(method), sort_keys=True)}"
    if name not in _looked:
        _looked[name] = fingerprint_of_code(method), fingerprint_of_parts("engine", "cube")
    return fingerprint(*_looked[name], stsfusion.__version__)


def require_code(wanted: str, method: FusionMethod) -> None:
    """Refuse to make tiles for someone whose code is another.

    Parameters
    ----------
    wanted
        Fingerprint of the code that made the plan.

    Raises
    ------
    PlanError
        With both fingerprints.
    """
    require_same(wanted, our_code(method))
