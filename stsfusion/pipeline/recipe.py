"""Recipe: one YAML file, one run. One frozen record with fixed, optional sections, each key checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stsfusion import resources
from stsfusion.errors import RecipeError, nearest
from stsfusion.pipeline.comparison import Compare
from stsfusion.pipeline.fields import Text
from stsfusion.pipeline.scenesections import Area, Ingest
from stsfusion.pipeline.sections import Cubes, Roles, Simulate
from stsfusion.pipeline.seriescompare import CompareSeries
from stsfusion.pipeline.settings import check_method_settings, method_schema, part_of
from stsfusion.pipeline.worksections import Evaluate, Fit, Fuse, Report
from stsfusion.records import Document, Record, parse, read_yaml

__all__ = ["Recipe", "load_recipe", "recipe_schema"]

_COMPARISONS = ("compare", "compare_series")
"""Sections that stand in place of a fusion."""

_INPUTS = ("cubes", "scenes", "simulate")
"""Sections of which each stands for the input."""

_FUSE = "Name a method: 'fuse: {method: NAME}'; to compare methods on scenes, say 'compare:' instead."


class Recipe(Record):
    """One run, from cubes or a simulation to a report."""

    area: Area | None = None
    """Part of the cubes."""

    scenes: str | None = None
    """A folder of deliveries, or a catalog of scenes by its path or name; or `cubes`, or `simulate`."""

    cubes: Cubes | None = None
    """A user's own cubes; or `scenes`, or `simulate`."""

    simulate: Simulate | None = None
    """A simulated series; or `scenes`, or `cubes`."""

    roles: Roles = Roles()
    """The instruments."""

    ingest: Ingest = Ingest()
    """The way from `scenes` to cubes."""

    fit: Fit = Fit()
    """Where methods learn."""

    fuse: Fuse = Fuse(method="bicubic")
    """The method and the work; must be said wherever something is fused."""

    evaluate: Evaluate = Evaluate()
    """Scores."""

    compare: Compare | None = None
    """Methods against each other, in place of a fusion; with `report` and `output` alone."""

    compare_series: CompareSeries | None = None
    """The same on series."""

    report: Report = Report()
    """The page."""

    output: Text | None = None
    """Folder of the results, seen from the working folder; none: the recipe's name with '-out'."""

    @property
    def compares(self) -> bool:
        """Whether methods are compared, and nothing is fused."""
        return any(getattr(self, section) is not None for section in _COMPARISONS)

    @property
    def result_digest(self) -> str:
        """A sha256 over all that decides the series; where and by whom it is computed does not."""
        aside: dict[str, Any] = {"output": True, "report": True, "evaluate": True}
        aside["fuse"] = {"executor", "address", "workers", "slurm", "worker", "patience"}
        aside["fuse"] |= {"device", "wall", *([] if self.fuse.tile is None else ["budget"])}
        data = self.model_dump(mode="json", exclude=aside)
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    def digest(self, *sections: str) -> str:
        """A sha256 over these sections, the same for recipes that say the same."""
        data = self.model_dump(mode="json", include=set(sections))
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def load_recipe(path: str | Path, assignments: Iterable[str] = ()) -> tuple[Recipe, Path]:
    """A recipe and its file, from a path or the name of one that came with the package.

    Raises
    ------
    RecipeError
        File, line, what was expected, what came and the nearest known key.
    """
    file = _find(Path(path))
    document = read_yaml(file).override(assignments)
    recipe = parse(document.data, Recipe, where=document)
    for key in (("evaluate", "compare"), ("compare", "methods"), ("compare_series", "methods")):
        _check_methods(document, *key)
    for section in _COMPARISONS:
        if getattr(recipe, section) is not None:
            _check_alone(document, section)
            return recipe, file
    if "fuse" not in document.data:
        raise RecipeError(document.where(("fuse",)), expected="the key 'fuse'", got="nothing", mend=_FUSE)
    check_method_settings(part_of(document, ("fuse", "method")))
    _check_input(recipe, document)
    return recipe, file


def _check_methods(document: Document, section: str, key: str) -> None:
    """Every member of a list of methods, where there is one."""
    given = (document.data.get(section) or {}).get(key)
    for position, settings in enumerate(given if isinstance(given, list) else ()):
        place = (section, key, position)
        places = {found[3:]: line for found, line in document.places.items() if found[:3] == place}
        check_method_settings(Document(document.name, settings, places, place))


def _check_alone(document: Document, comparison: str) -> None:
    """A comparison has nothing to fuse."""
    others = set(document.data) - {comparison, "report", "output"}
    for section in sorted(others):
        raise RecipeError(
            document.where((section,)),
            expected=f"'report' and 'output' alone beside '{comparison}'",
            got=f"'{section}'",
            mend="Compare and fuse in two recipes.",
        )


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    found = resources.find("pipelines", path.name if path.suffix else f"{path.name}.yaml")
    if found is not None and path.parent in (Path(), Path("pipelines")):
        return found
    known = [p.stem for folder in resources.folders("pipelines") for p in folder.glob("*.yaml")]
    raise RecipeError(
        f"recipe {path}", expected="a YAML file", got="no such file", mend=nearest(path.stem, known)
    )


def _check_input(recipe: Recipe, document: Document) -> None:
    given = [section for section in _INPUTS if getattr(recipe, section) is not None]
    if len(given) != 1:
        raise RecipeError(
            document.where(),
            expected="one of the sections 'cubes', 'scenes' and 'simulate'",
            got=" and ".join(given) or "none",
            mend="Name your own cubes under 'cubes:', a folder of deliveries under 'scenes:', or a scene "
            "under 'simulate:'.",
        )
    area = recipe.area
    if area is not None and recipe.scenes is None and (area.crs or area.pixel):
        raise RecipeError(
            document.where(("area",)),
            expected="'bounds' alone beside cubes",
            got="'crs' or 'pixel'",
            mend="Cubes have their own grid; only 'scenes' are laid on one that is asked for.",
        )


def recipe_schema() -> Mapping[str, Any]:
    """JSON schema of recipes, every method's settings included, for editors."""
    schema = Recipe.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "stsfusion recipe"
    described = method_schema()
    for each in described:
        schema["$defs"].update(each.pop("$defs", {}))
    names = {"enum": [each["properties"]["name"]["const"] for each in described]}
    schema["$defs"]["Method"] = {"anyOf": [names, *described]}
    method = {"$ref": "#/$defs/Method"}
    schema["$defs"]["Fuse"]["properties"]["method"] = method
    schema["$defs"]["Evaluate"]["properties"]["compare"]["items"] = method
    several = {"type": "array", "items": method, "minItems": 1}
    schema["$defs"]["Compare"]["properties"]["methods"]["anyOf"] = [{"const": "all"}, several]
    schema["$defs"]["CompareSeries"]["properties"]["methods"] |= several
    schema["anyOf"] = [{"required": [section]} for section in ("fuse", *_COMPARISONS)]
    return schema
