"""Provenance: what a published series says of itself; nothing that changes from run to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stsfusion import methods
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.doctor import versions
from stsfusion.pipeline.intake import Intake
from stsfusion.pipeline.prints import Prints
from stsfusion.pipeline.recipe import Recipe

__all__ = ["provenance"]


def provenance(recipe: Recipe, file: Path, marks: Prints, intake: Intake, weights: str) -> dict[str, Any]:
    """Attributes of a series: what made it of what, with versions and fingerprints.

    Parameters
    ----------
    weights
        Fingerprint of what the method learned.
    """
    return {
        "title": recipe.report.title or file.stem,
        "simulated": intake.simulated,
        "source": intake.words,
        **({"scenes": intake.facts["scenes"]} if "scenes" in intake.facts else {}),
        "recipe": file.name,
        "recipe_sha256": recipe.result_digest,
        "inputs_sha256": marks.content,
        "series_sha256": marks.fuse,
        "method": settings_of(methods.create(recipe.fuse.method)),
        "weights_sha256": weights,
        "versions": versions(),
    }
