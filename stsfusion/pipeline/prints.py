"""Prints: the fingerprint of every step of a run, of its settings, of the code, and of what came before."""

from __future__ import annotations

import json
from pathlib import Path

import stsfusion
from stsfusion import methods
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code
from stsfusion.pipeline.recipe import Recipe

__all__ = ["Prints"]


class Prints:
    """The fingerprint of every step: of its settings, of the code, and of what came before."""

    def __init__(self, recipe: Recipe, near: Path) -> None:
        method = methods.create(recipe.fuse.method)
        self.cubes = fingerprint("cubes", recipe.digest("cubes", "simulate", "area"), _files(recipe, near))
        code = fingerprint_of_code(method)
        self.fit = fingerprint("fit", self.cubes, recipe.digest("fit", "roles"), settings_of(method), code)
        work = {"tile": recipe.fuse.tile, "shard": recipe.fuse.shard_size, "dates": recipe.fuse.dates}
        self.fuse = fingerprint("fuse", self.fit, json.dumps(work), stsfusion.__version__)
        self.evaluate = fingerprint("evaluate", self.fuse, recipe.digest("evaluate"))
        self.report = fingerprint("report", self.evaluate, recipe.digest("report"))


def _files(recipe: Recipe, near: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of every file that the recipe's input names, so that a changed one is noticed."""
    cubes, simulate = recipe.cubes, recipe.simulate
    texts = [
        t for t in (cubes.model_dump().values() if cubes else [simulate.scene if simulate else None]) if t
    ]
    found = []
    for text in texts:
        path = near / text if (near / text).exists() else Path(text)
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in inside if p.is_file()]
    return found
