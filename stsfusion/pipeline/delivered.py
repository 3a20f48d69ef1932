"""Delivered: which scenes a recipe means; a folder of deliveries is catalogued on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stsfusion.errors import RecipeError
from stsfusion.fusion.problem import ROLES, Role
from stsfusion.ingest.calibrate import GainsFile, read_gains_file
from stsfusion.ingest.catalogue import build_catalog, refused_in, strange_in
from stsfusion.ingest.choose import Chosen, choose
from stsfusion.ingest.frame import Place
from stsfusion.ingest.missing import absent, check_gains, refuse_missing
from stsfusion.ingest.recognise import others, recognised
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.remembered import Remembered
from stsfusion.pipeline.recipe import Recipe
from stsfusion.sensing.catalog import Catalog, find_catalog, open_catalog

__all__ = ["Delivered", "choose_scenes", "gains_of", "located", "sensors_of", "used_files"]

_RUN = ".stsfusion"
"""In the folder of a run's results, which are no deliveries."""

_SAY = "Say where they are: --set scenes=FOLDER; or name a catalog that `stsfusion catalog build` wrote."


@dataclass(frozen=True)
class Delivered:
    """What a recipe's `scenes` came to."""

    chosen: Chosen
    """The scenes and grids of the cubes."""

    missing: tuple[str, ...]
    """Why deliveries are missing that should be there."""

    strange: tuple[str, ...]
    """Why images and archives beside them were not recognised, which harms nothing."""

    def __str__(self) -> str:
        """In words, a line each."""
        told = (f"Not recognised, and left alone: {' '.join(reason.split())}" for reason in self.strange)
        return "\n".join([str(self.chosen), *self.missing, *told])


def choose_scenes(recipe: Recipe, near: Path, shelf: Path, before: Remembered | None = None) -> Delivered:
    """The scenes and grids of the cubes, which deliveries are missing, and what was not recognised.

    Parameters
    ----------
    near
        The recipe's folder: its paths are seen from there, then from the working folder.
    shelf
        Where the catalog of a folder of deliveries is written.
    before
        What its archives were found to hold before.

    Raises
    ------
    RecipeError, CatalogError, DeliveryError
        When nothing is named, a catalog is none, a role has no scene, gains lack, or deliveries are missing
        and that is not allowed.
    """
    path = _catalog(recipe, near, shelf, before)
    catalog, missing, strange = open_catalog(path, anywhere=True), refused_in(path), strange_in(path)
    _some(catalog, [*missing, *strange])
    area, ratios = recipe.area, recipe.ingest.ratios
    place = Place(area.crs, area.bounds, area.pixel) if area else None
    said: dict[str, int] = {role: ratio for role in ROLES if (ratio := getattr(ratios, role)) is not None}
    sensors = {str(role): sensor for role, sensor in sensors_of(recipe).items()}
    chosen = choose(catalog, sensors, place, said)
    gone = absent(chosen)
    missing += gone.values()
    if not recipe.ingest.allow_missing:
        refuse_missing(f"scenes {recipe.scenes}", missing)
    if gone:
        left = tuple(scene for scene in catalog.scenes if scene.name not in gone)
        chosen = choose(replace(catalog, scenes=left), sensors, place, said)
    check_gains(chosen, gains_of(recipe, near))
    return Delivered(chosen, tuple(missing), tuple(strange))


def _some(catalog: Catalog, reasons: Sequence[str]) -> None:
    """There must be a scene, or it is said what there is instead."""
    if not catalog.scenes:
        got = " | ".join(" ".join(reason.split()) for reason in reasons)
        raise DeliveryError(f"scenes {catalog.path}", expected=recognised(), got=got or "none")


def gains_of(recipe: Recipe, near: Path) -> dict[str, GainsFile]:
    """The user's own gains, by instrument."""
    return {sensor: read_gains_file(located(path, near)) for sensor, path in recipe.ingest.gains.items()}


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
    """Every file that the cubes depend on: what may be of a delivery, catalog, gains, masks, terrain."""
    given = [*recipe.ingest.gains.values(), *recipe.ingest.masks.values()]
    if isinstance(recipe.ingest.terrain, str):
        given.append(recipe.ingest.terrain)
    yield from (located(text, near) for text in given)
    source = located(recipe.scenes or "", near)
    if source.is_dir() and not (source / "catalog.json").is_file():
        for files in _below(source):
            beside = set(others(files))
            yield from (path for path in files if path not in beside)
        return
    path = find_catalog(source if source.is_dir() else str(recipe.scenes), near)
    for files in _below(path):
        yield from files
    for scene in open_catalog(path, anywhere=True).scenes:
        home = Path(scene.delivery)
        yield from [home] if scene.archive else (home / file.path for file in scene.files)


def located(text: str, near: Path) -> Path:
    """A path of the recipe's, from its folder first, then from the working folder."""
    return near / text if (near / text).exists() else Path(text)


def _below(folder: Path) -> Iterator[list[Path]]:
    """Files folder by folder, without hidden ones and the results of runs."""
    for place, folders, names in os.walk(folder):
        if _RUN in folders:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield [Path(place) / name for name in sorted(names) if not name.startswith(".")]


def _catalog(recipe: Recipe, near: Path, shelf: Path, before: Remembered | None) -> Path:
    """The catalog that is meant, or one of the folder that is."""
    if recipe.scenes is None or not recipe.scenes.strip():
        raise RecipeError("section 'scenes'", expected="deliveries or a catalog", got="none", mend=_SAY)
    source = located(recipe.scenes, near)
    if source.is_dir() and not (source / "catalog.json").is_file():
        build_catalog(source, shelf, allow_missing=recipe.ingest.allow_missing, before=before)
        return shelf
    return find_catalog(source if source.is_dir() else recipe.scenes, near)
