"""Prints: the fingerprint of every step of a run, of its settings, of the code, and of what came before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import stsfusion
from stsfusion import methods
from stsfusion.cube.store import CubeStore
from stsfusion.engine.plan import Source
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code
from stsfusion.pipeline.recipe import Recipe

__all__ = ["Prints", "content_of", "input_print"]


def input_print(recipe: Recipe, near: Path) -> str:
    """Of what the recipe says of its input, and of name, size and time of the files it names."""
    cubes, simulate = recipe.cubes, recipe.simulate
    paths = [files.path for files in cubes.files.values()] if cubes else [simulate.scene if simulate else ()]
    texts = [text for path in paths for text in ([path] if isinstance(path, str) else path)]
    found = []
    for text in texts:
        path = near / text if (near / text).exists() else Path(text)
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in inside if p.is_file()]
    return fingerprint("input", recipe.digest("cubes", "simulate", "area"), found, stsfusion.__version__)


def content_of(store: CubeStore) -> str:
    """Of every byte of the input cubes, wherever they came from."""
    return fingerprint(
        {name: store.checksum(name, store.spec(name).window, staged=False) for name in store.names()}
    )


@dataclass(frozen=True)
class Prints:
    """The fingerprints of the steps that follow the input."""

    recipe: Recipe
    """What is asked."""

    content: str
    """Fingerprint of the input cubes."""

    sources: tuple[Source, ...]
    """How the sensors saw the target, so that a changed catalog file is noticed."""

    @cached_property
    def fit(self) -> str:
        """Of what is learned."""
        method = methods.create(self.recipe.fuse.method)
        said = self.recipe.digest("fit", "roles")
        return fingerprint(
            "fit", self.content, self.sources, said, settings_of(method), fingerprint_of_code(method)
        )

    @cached_property
    def fuse(self) -> str:
        """Of the published series."""
        chosen = self.recipe.fuse
        work = {"tile": chosen.tile, "shard": chosen.shard_size, "dates": chosen.dates}
        return fingerprint("fuse", self.fit, json.dumps(work), stsfusion.__version__)

    @cached_property
    def evaluate(self) -> str:
        """Of the scores."""
        return fingerprint("evaluate", self.fuse, self.recipe.digest("evaluate"))

    @cached_property
    def report(self) -> str:
        """Of the page."""
        return fingerprint("report", self.evaluate, self.recipe.digest("report"))
