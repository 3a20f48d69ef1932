"""Hyperspectral–multispectral benchmark: methods on scenes, under point spread functions: `bench hsi-msi`.

::

    scenes × point spread functions ─► stage ─ contest ─► rows ─► summary over the scenes
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stsfusion.errors import CubeError, MethodError
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Role
from stsfusion.methods import create
from stsfusion.pipeline.contest import Watch, contest, default_cache, keep, unwatched
from stsfusion.pipeline.pairprotocol import PairProtocol
from stsfusion.pipeline.pairstage import PairStage
from stsfusion.pipeline.quick import able, expanded, shortened
from stsfusion.pipeline.scene import Crop, read_scene
from stsfusion.pipeline.shorthand import settings_from
from stsfusion.pipeline.summary import summary

__all__ = ["bench_hsi_msi"]

_STANDARD = PairProtocol()

_ROLES: tuple[Role, ...] = ("rich", "sharp")
"""What methods are given."""


def bench_hsi_msi(
    scene_paths: Sequence[str | Path],
    methods: Sequence[str] = ("all",),
    protocol: PairProtocol = _STANDARD,
    psfs: Sequence[str] = (),
    *,
    crop: Crop | None = None,
    quick: bool = False,
    json_path: str | Path | None = None,
    cache_dir: str | Path | None = None,
    progress: Watch = unwatched,
) -> dict[str, Any]:
    """Score methods that fuse a coarse hyperspectral and a sharp multispectral image.

    Parameters
    ----------
    scene_paths
        NetCDF files, see `read_scene`.
    methods
        Names, with settings as in `shorthand`; 'all': every method that needs nothing else.
    protocol
        What is made of the scenes, and what methods are told.
    psfs
        Point spread functions that are tried in turn; none: the protocol's.
    crop
        Rows and columns of the scenes that are used; None: all.
    quick
        Shorten the iterative methods, see `shortened`; their rows say so.
    json_path
        Where the result is written, anew after every method; None: nowhere.
    cache_dir
        Folder of rows that are done, see `contest`; None: `default_cache()`.

    Returns
    -------
    dict
        `protocol`; `scenes` (what was used of each, by point spread function); `rows` (scene × point spread
        function × method); `summary` over the scenes. All of it plain JSON.

    Raises
    ------
    CubeError, MethodError, SensorError, ProblemError
        Before any work, when scenes, methods or protocol cannot be used.
    """
    psfs = list(dict.fromkeys(psfs or (protocol.psf,)))
    entrants, hasty = _entrants(methods, quick)
    stages = _stages(scene_paths, protocol, psfs, crop)
    cache = default_cache() if cache_dir is None else Path(cache_dir)
    said_of_all = {**protocol.settings(), "psf": psfs, "crop": _said(crop), "quick": quick}
    result: dict[str, Any] = {"protocol": said_of_all, "scenes": [], "rows": [], "summary": []}
    for stage in _one_by_one(stages):
        result["scenes"].append(stage.said)
        place = {"scene": stage.scene.name, "psf": stage.protocol.psf}
        for text, table in contest(stage, entrants, cache, _named(progress, place, len(stages))):
            said = {**place, "method": text, "quick": text in hasty}
            result["rows"] += [{**said, **row} for row in table["rows"]]
            result["summary"] = summary(result["rows"])
            if json_path is not None:
                keep(Path(json_path), result)
    return result


def _entrants(methods: Sequence[str], quick: bool) -> tuple[dict[str, FusionMethod], set[str]]:
    """Methods as they were written, and which of them were shortened."""
    entrants, hasty = {}, set()
    for text in expanded(methods, _ROLES):
        settings = settings_from(text)
        if quick:
            settings, changed = shortened(settings)
            hasty |= {text} if changed else set()
        entrants[text] = create(settings)
        _suffices(entrants[text])
    return entrants, hasty


def _suffices(method: FusionMethod) -> None:
    """Two images must be all that a method needs."""
    needs = method.card.needs
    if not set(needs) <= set(_ROLES):
        raise MethodError(
            f"method '{method.card.name}'",
            expected=f"one that needs no more than {' + '.join(_ROLES)}",
            got=f"one that needs {' + '.join(needs)}",
            mend=f"Choose from: {', '.join(able(_ROLES))}.",
        )


def _said(crop: Crop | None) -> str | None:
    """As it was asked for."""
    return None if crop is None else ",".join(f"{axis.start}:{axis.stop}" for axis in crop)


def _stages(
    paths: Sequence[str | Path], protocol: PairProtocol, psfs: Sequence[str], crop: Crop | None
) -> list[PairStage]:
    """All stages, looked at once so that what cannot work is refused before any work."""
    files = list(dict.fromkeys(map(Path, paths)))
    _distinct([file.stem for file in files])
    scenes = [read_scene(file, crop, protocol.pair) for file in files]
    stages = [PairStage(scene, replace(protocol, psf=psf)) for scene in scenes for psf in psfs]
    for stage in stages:
        _ = stage.bands, stage.kernel
    return stages


def _distinct(names: Sequence[str]) -> None:
    """Rows are told apart by the scene's name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise CubeError(
            f"scene {twice[0]}",
            expected="files of different names",
            got="two of this name",
            mend="Rename one.",
        )


def _one_by_one(stages: Sequence[PairStage]) -> Iterator[PairStage]:
    """Copies, so that one stage's problem at a time is held."""
    for stage in stages:
        yield replace(stage)


def _named(progress: Watch, place: dict[str, str], count: int) -> Watch:
    """The Watch told of scene and point spread function too, where there are several."""
    if count == 1:
        return progress
    return lambda method, done, what: progress(f"{place['scene']} {place['psf']} {method}", done, what)
