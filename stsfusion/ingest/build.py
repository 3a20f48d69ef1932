"""Build: from chosen scenes to one cube a role, shard by shard, with the lineage of every date.

::

    scenes of a day ─► unpacked ─► measured against 'sharp'
                    ─► each shard: warped, calibrated, masked, mosaicked ─► cube

'sharp' comes first, for the others are laid onto it. Archives of one role are unpacked while its cube is made
and removed again; of their pixels no more is held than one shard.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import INNER, SHARD, CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.ingest.align import Reference, aligned, common_band
from stsfusion.ingest.archive import unpacked
from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.choose import Chosen, Day
from stsfusion.ingest.files import check_digest, digest
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.lineage import lineage
from stsfusion.ingest.merge import merged
from stsfusion.ingest.mosaic import MARKS, Member, mosaic, quality
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.view import View, open_view
from stsfusion.ingest.warp import Terrain
from stsfusion.sensing.scene import Scene
from stsfusion.window import Interval, Window

__all__ = ["Options", "build_cubes"]

Tell = Callable[[float, str], None]

_SHARP = "sharp"


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
    """Whether the simple test for thick cloud makes pixels gaps."""

    masks: Mapping[str, Path] = field(default_factory=dict)
    """The user's own, by scene; there the simple test has no say."""

    limits: Limits | None = None
    """Of deliveries."""


def build_cubes(
    chosen: Chosen,
    store: CubeStore,
    options: Options | None = None,
    *,
    owner: str | None = None,
    scratch: Path | None = None,
    tell: Tell = lambda done, words: None,
) -> dict[str, list[dict[str, Any]]]:
    """Write and publish a cube for each role.

    Parameters
    ----------
    chosen
        The scenes and their grids.
    owner
        Of the store.
    scratch
        Where archives are unpacked; None: beside the store.
    tell
        Told of the share that is done, and of what.

    Returns
    -------
    The lineage: by role and date, the scenes with their files, steps, gains and offsets.

    Raises
    ------
    DeliveryError
        When a scene is not what it was when it was catalogued, or lacks gains.
    """
    place = scratch or store.path.parent
    place.mkdir(parents=True, exist_ok=True)
    roles = sorted(chosen.days, key=lambda role: role != _SHARP)
    told: dict[str, list[dict[str, Any]]] = {}
    for done, role in enumerate(roles):
        part = partial(_share, tell, done, len(roles))
        room = Path(tempfile.mkdtemp(prefix=".scenes-", dir=place))
        try:
            told[role] = _build(_Role(chosen, role, store, options or Options(), room), owner, part)
        finally:
            shutil.rmtree(room, ignore_errors=True)
    store.publish()
    return {role: told[role] for role in chosen.days}


def _share(tell: Tell, before: int, roles: int, done: float, words: str) -> None:
    tell((before + done) / roles, words)


@dataclass(frozen=True)
class _Role:
    """One cube that is to be made."""

    chosen: Chosen
    name: str
    store: CubeStore
    options: Options
    room: Path

    @property
    def days(self) -> Sequence[Day]:
        return self.chosen.days[self.name]

    @property
    def sensor(self) -> str:
        return self.days[0].scenes[0].sensor

    @property
    def ratio(self) -> int:
        return self.chosen.ratios[self.name]

    @property
    def grid(self) -> Grid:
        return self.chosen.grid.coarsen(self.ratio)

    @property
    def scenes(self) -> list[Scene]:
        return [scene for day in self.days for scene in day.scenes]


def _build(role: _Role, owner: str | None, tell: Tell) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        opened = []
        for at, day in enumerate(role.days):
            tell(0.3 * at / len(role.days), f"opening '{role.name}', {day.time:%Y-%m-%d}")
            opened.append([stack.enter_context(_opened(role, day, scene)) for scene in day.scenes])
        told = [
            {"date": f"{day.time:%Y-%m-%d}", "scenes": [said for _, said in scenes]}
            for day, scenes in zip(role.days, opened, strict=True)
        ]
        spec = _spec(role, told)
        role.store.create(role.name, spec, owner=owner, replace=True)
        windows = spec.shards()
        for at, window in enumerate(windows):
            tell(0.3 + 0.7 * at / len(windows), f"ingesting '{role.name}'")
            members = [member for member, _ in opened[window.dates[0]]]
            part = mosaic(members, spec, window.rows, window.cols, role.options.clouds)
            values, valid = part.reflectance[None], part.valid[None]
            role.store.write(role.name, window, values, valid, qa=quality(part)[None])
    return told


def _spec(role: _Role, told: list[dict[str, Any]]) -> CubeSpec:
    """The frame of a cube; bands in the instrument's order, labelled as the first delivery says."""
    said: dict[str, tuple[float, float]] = {}
    for layer in (layer for scene in role.scenes for layer in scene.layers):
        for name, nm, width in zip(layer.bands, layer.wavelength, layer.fwhm, strict=True):
            said.setdefault(name, (nm, width))
    sensor = known_sensor(role.sensor)
    bands = tuple(name for name in sensor.names if name in said)
    inner = max(INNER // role.ratio, 1)
    attributes = {
        "title": sensor.title, "role": role.name, "sensor": sensor.name, "simulated": False,
        "quantity": "toa_bidirectional_reflectance",
        "band_flags": {band.name: list(band.flags) for band in sensor.pick(bands) if band.flags},
        "lineage": told,
    }  # fmt: skip
    return CubeSpec(
        role.grid,
        tuple(round(day.time.timestamp() * 1000) for day in role.days),
        bands,
        tuple(said[name][0] for name in bands),
        tuple(said[name][1] for name in bands),
        shard=inner * (SHARD // INNER),
        inner=inner,
        attributes=attributes,
        marks=MARKS,
    )


# ---------------------------------------------------------------- scenes


@contextmanager
def _opened(role: _Role, day: Day, scene: Scene) -> Iterator[tuple[Member, dict[str, Any]]]:
    """A scene, unpacked, laid onto the reference; and its lineage."""
    options = role.options
    level, source = options.terrain, "as stated"
    with ExitStack() as stack:
        view = stack.enter_context(
            open_view(
                scene,
                stack.enter_context(_home(scene, role.room, options.limits)),
                terrain=level or Terrain(height=0.0),
                gains=options.gains.get(scene.sensor),
                limits=options.limits,
            )
        )
        if level is None:
            level, source = _own_level(view), "the mean height that the RPC states"
            view = replace(view, terrain=level)
        view, seam = merged(view, role.grid) if options.detectors else (view, {})
        view, offset = _laid(role, day, view)
        own = options.masks.get(scene.name)
        mask = None if own is None else stack.enter_context(open_raster(own, limits=options.limits))
        cover = {} if own is None else {"mask": {"path": own.name, "sha256": digest(own)}}
        yield Member(view, mask), lineage(view, level, source, seam | offset | cover)


@contextmanager
def _home(scene: Scene, room: Path, limits: Limits | None) -> Iterator[Path]:
    """The folder that holds a scene's files; an archive must be the one that was catalogued."""
    path = Path(scene.delivery)
    if not scene.archive:
        yield path
        return
    check_digest(path, scene.archive)
    with unpacked(path, room, limits) as home:
        yield home


def _own_level(view: View) -> Terrain | None:
    heights = [image.rational.height_offset for image in view.images if image.rational is not None]
    return Terrain(height=float(np.mean(heights))) if heights else None


def _laid(role: _Role, day: Day, view: View) -> tuple[View, dict[str, Any]]:
    """The view on the sharp cube, and what was found; untouched where there is nothing to lay it on."""
    reference = _reference(role, day)
    if reference is None:
        return view, {}
    view, found = aligned(view, role.grid, reference, role.options.threshold)
    return view, {"registration": found}


def _reference(role: _Role, day: Day) -> Reference | None:
    """The sharp image nearest in time, one band of it, in the pixels of this role's cube."""
    if role.name == _SHARP or _SHARP not in role.chosen.days or not role.options.register:
        return None
    sharp = replace(role, name=_SHARP)
    bands = common_band(sharp.sensor, role.sensor)
    if bands is None or role.ratio % sharp.ratio:
        return None
    gaps = [abs((day.time - other.time).total_seconds()) for other in sharp.days]
    date = int(np.argmin(gaps))
    spec = role.store.spec(_SHARP, staged=True)
    band, ratio = spec.bands.index(bands[0]), role.ratio // sharp.ratio

    def read(rows: Interval, cols: Interval) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        window = Window((date, date + 1), *((ratio * a, ratio * b) for a, b in (rows, cols)))
        values, valid = role.store.read(_SHARP, window, staged=True)
        known = valid[0, min(band, valid.shape[1] - 1)]
        return _means(values[0, band].astype(np.float64), ratio), _means(known, ratio) == 1.0

    return Reference(f"{_SHARP} {sharp.days[date].time:%Y-%m-%d} {bands[0]}", read, bands[1])


def _means(values: NDArray[Any], ratio: int) -> NDArray[np.float64]:
    rows, cols = (size // ratio for size in values.shape)
    return np.asarray(values.reshape(rows, ratio, cols, ratio).mean(axis=(1, 3)))
