"""Delivered: which scenes a recipe means; a folder of deliveries is catalogued on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from stsfusion.errors import RecipeError
from stsfusion.fusion.problem import ROLES, Role
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import Chosen, choose
from stsfusion.ingest.frame import Place
from stsfusion.pipeline.recipe import Recipe
from stsfusion.sensing.catalog import Catalog, find_catalog, open_catalog

__all__ = ["choose_scenes", "located", "sensors_of", "used_files"]

_RUN = ".stsfusion"
"""In the folder of a run's results, which are no deliveries."""

_SAY = "Say where they are: --set scenes=FOLDER; or name a catalog that `stsfusion catalog build` wrote."


def choose_scenes(recipe: Recipe, near: Path, shelf: Path) -> tuple[Chosen, list[str]]:
    """The scenes and grids of the cubes, and which deliveries were refused, with the reasons.

    Parameters
    ----------
    near
        The recipe's folder: its paths are seen from there, then from the working folder.
    shelf
        Where the catalog of a folder of deliveries is written.

    Raises
    ------
    RecipeError, CatalogError, DeliveryError
        When nothing is named, a catalog is none, or a role has no scene.
    """
    catalog, refused = _catalog(recipe, near, shelf)
    area, ratios = recipe.area, recipe.ingest.ratios
    place = Place(area.crs, area.bounds, area.pixel) if area else None
    said: dict[str, int] = {role: ratio for role in ROLES if (ratio := getattr(ratios, role)) is not None}
    sensors = {str(role): sensor for role, sensor in sensors_of(recipe).items()}
    return choose(catalog, sensors, place, said), refused


def sensors_of(recipe: Recipe) -> dict[Role, str]:
    """Instrument by role, of all roles that are named.

    Raises
    ------
    RecipeError
        When none is, or one without its instrument.
    """
    named = {
        role: recipe.roles.spec(role).sensor for role in ROLES if getattr(recipe.roles, role) is not None
    }
    lacking = [role for role, sensor in named.items() if sensor is None] or ["rich"] * (not named)
    if lacking:
        raise RecipeError(
            f"section 'roles', {lacking[0]}",
            expected="the instrument whose scenes are meant",
            got="none",
            mend="Write it, as 'roles: {rich: zy1-02d-ahsi}'.",
        )
    return {role: str(sensor) for role, sensor in named.items()}


def used_files(recipe: Recipe, near: Path) -> Iterator[Path]:
    """Every file that the cubes depend on: deliveries, catalog, gains, masks, terrain."""
    given = [*recipe.ingest.gains.values(), *recipe.ingest.masks.values()]
    if isinstance(recipe.ingest.terrain, str):
        given.append(recipe.ingest.terrain)
    yield from (located(text, near) for text in given)
    source = located(recipe.scenes or "", near)
    if source.is_dir() and not (source / "catalog.json").is_file():
        yield from _below(source)
        return
    path = find_catalog(source if source.is_dir() else str(recipe.scenes), near)
    yield from _below(path)
    for scene in open_catalog(path, anywhere=True).scenes:
        home = Path(scene.delivery)
        yield from [home] if scene.archive else (home / file.path for file in scene.files)


def located(text: str, near: Path) -> Path:
    """A path of the recipe's, from its folder first, then from the working folder."""
    return near / text if (near / text).exists() else Path(text)


def _below(folder: Path) -> Iterator[Path]:
    """Files below a folder, without the results of runs."""
    for place, folders, names in os.walk(folder):
        if _RUN in folders:
            folders.clear()
            continue
        folders.sort()
        yield from (Path(place) / name for name in sorted(names))


def _catalog(recipe: Recipe, near: Path, shelf: Path) -> tuple[Catalog, list[str]]:
    """The catalog that is meant, or one of the folder that is."""
    if recipe.scenes is None or not recipe.scenes.strip():
        raise RecipeError("section 'scenes'", expected="deliveries or a catalog", got="none", mend=_SAY)
    source = located(recipe.scenes, near)
    if source.is_dir() and not (source / "catalog.json").is_file():
        built = build_catalog(source, shelf)
        return open_catalog(shelf, anywhere=True), [one.reason for one in built.found.refused]
    path = find_catalog(source if source.is_dir() else recipe.scenes, near)
    return open_catalog(path, anywhere=True), []
