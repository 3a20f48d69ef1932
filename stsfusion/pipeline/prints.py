"""Prints: the fingerprint of every step of a run, of its settings, of the code, and of what came before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stsfusion import methods, resources
from stsfusion.cube.store import CubeStore
from stsfusion.engine.plan import Source
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.delivered import sensors_of, used_files
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code, fingerprint_of_parts
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.stamps import stamps

__all__ = ["Prints", "content_of", "input_print"]


def input_print(recipe: Recipe, near: Path) -> str:
    """Of what the recipe says of its input, of name, size and time of the files it names, and of the code."""
    if recipe.scenes is not None:
        return _print_of_scenes(recipe, near)
    cubes, simulate = recipe.cubes, recipe.simulate
    paths = [files.path for files in cubes.files.values()] if cubes else [simulate.scene if simulate else ()]
    texts = [text for path in paths for text in ([path] if isinstance(path, str) else path)]
    found = []
    for text in texts:
        path = near / text if (near / text).exists() else Path(text)
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += stamps(inside, near)
    sensors = _sensor_files(recipe, near) if simulate else []
    code = fingerprint_of_parts("cube", "forward", "operators", "sensing")
    return fingerprint("input", recipe.digest("cubes", "simulate", "area"), found, sensors, code)


def _print_of_scenes(recipe: Recipe, near: Path) -> str:
    """The same of deliveries, their catalog, gains and terrain, and of what is known of the instruments."""
    paths = [resources.find("catalogs", f"sensors/{name}.yaml") for name in sensors_of(recipe).values()]
    sensors = [path.read_bytes() for path in paths if path is not None]
    code = fingerprint_of_parts("cube", "ingest", "sensing")
    said, found = recipe.digest("scenes", "area", "ingest"), stamps(used_files(recipe, near), near)
    return fingerprint("input", said, sensors_of(recipe), found, sensors, code)


def _sensor_files(recipe: Recipe, near: Path) -> list[bytes]:
    """What the catalogs say now of the sensors that are simulated."""
    assert recipe.simulate is not None
    named = recipe.simulate.protocol.model_dump()
    paths = [resources.find("catalogs", f"sensors/{named[role]}.yaml", near) for role in ("sharp", "dense")]
    return [path.read_bytes() for path in paths if path is not None]


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

    series: str = ""
    """Identity of the series that is judged."""

    @cached_property
    def fit(self) -> str:
        """Of what is learned."""
        method = methods.create(self.recipe.fuse.method)
        said = self.recipe.digest("fit", "roles")
        return fingerprint(
            "fit", self.content, self.sources, said, settings_of(method), fingerprint_of_code(method)
        )

    @cached_property
    def evaluate(self) -> str:
        """Of the scores."""
        rivals = [methods.create(settings) for settings in self.recipe.evaluate.compare]
        code = [fingerprint_of_parts("forward"), *map(fingerprint_of_code, rivals)]
        return fingerprint("evaluate", self.series, self.recipe.digest("evaluate"), code)

    @cached_property
    def report(self) -> str:
        """Of the page."""
        code = fingerprint_of_parts("views", "pipeline")
        return fingerprint("report", self.evaluate, self.recipe.digest("report"), code)
