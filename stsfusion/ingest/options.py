"""Options: how scenes become cubes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.warp import Terrain

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """How scenes become cubes."""

    terrain: Terrain | None = None
    """How high the ground is; None: each scene's own mean height, as its RPC states it."""

    gains: Mapping[str, GainsFile] = field(default_factory=dict)
    """The user's own, by instrument."""

    detectors: bool = True
    """Whether the second detector of an instrument is fitted to the first."""

    register: bool = True
    """Whether scenes are laid onto the sharp ones."""

    threshold: float = 3.0
    """Pixels of the cube beyond which an offset is told, and not put right."""

    clouds: bool = True
    """Whether the simple tests for thick cloud and its shadow make pixels gaps."""

    masks: Mapping[str, Path] = field(default_factory=dict)
    """The user's own, by scene; where they know a pixel the simple tests have no say."""

    atmosphere: Literal["none", "dark-object"] = "none"
    """Whether haze is taken away; what was delivered as surface reflectance is never touched."""

    normalise: Literal["none", "pif"] = "none"
    """Whether scenes are brought to the brightness of one instrument, by pixels that did not change."""

    allow_missing: bool = False
    """Whether to go on without scenes that turn out to be bad, and tell of them."""

    limits: Limits | None = None
    """Of deliveries."""
