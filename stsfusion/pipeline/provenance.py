"""Provenance: what a published series says of itself; nothing that changes from run to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stsfusion import methods
from stsfusion.cube.store import CubeStore
from stsfusion.fusion.problem import Role
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.doctor import versions
from stsfusion.pipeline.intake import Intake
from stsfusion.pipeline.madefrom import MadeFrom
from stsfusion.pipeline.recipe import Recipe

__all__ = ["inherited", "provenance"]

_SPECTRAL = ("quantity", "standard_name", "band_flags", "band_order")
"""What a cube says of its numbers and of its bands."""


def provenance(recipe: Recipe, file: Path, content: str, intake: Intake, made: MadeFrom) -> dict[str, Any]:
    """Attributes of a series: what made it of what, with versions and fingerprints.

    Parameters
    ----------
    content
        Fingerprint of the input cubes.
    """
    return {
        "title": recipe.report.title or file.stem,
        "simulated": intake.simulated,
        "source": intake.words,
        **({"scenes": intake.facts["scenes"]} if "scenes" in intake.facts else {}),
        "recipe": file.name,
        "recipe_sha256": recipe.result_digest,
        "inputs_sha256": content,
        "method": settings_of(methods.create(recipe.fuse.method)),
        "versions": versions(),
        **made.attributes,
    }


def inherited(cubes: Path, lead: Role) -> dict[str, Any]:
    """What a series says of its numbers and its bands as the cube does whose bands it has."""
    said = CubeStore(cubes).spec(lead).attributes
    return {key: said[key] for key in _SPECTRAL if key in said}
