"""Notebook: fuse labelled cubes that fit into memory, with one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import psutil
import torch
from xarray import DataArray, Dataset

from stsfusion import methods
from stsfusion.cube.georeference import axes_of
from stsfusion.cube.layout import FLAGS
from stsfusion.cube.schema import check, validity
from stsfusion.engine.plan import Source
from stsfusion.errors import MethodError, PlanError, nearest
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import ROLES, Observation, Problem, Role
from stsfusion.operators.precision import full_precision
from stsfusion.pipeline.assemble import Assembly, assemble, chosen_dates
from stsfusion.pipeline.sections import Roles, RoleSpec

__all__ = ["fuse"]


def fuse(
    *,
    rich: DataArray | None = None,
    sharp: DataArray | None = None,
    dense: DataArray | None = None,
    method: str | Mapping[str, Any] | FusionMethod = "gsa",
    sensors: Mapping[str, str] | None = None,
    psf: str = "optics",
    dates: str | Sequence[str] | None = None,
    device: str = "cpu",
) -> Dataset:
    """Fuse cubes in memory: the hyperspectral bands, the finest pixels, the densest dates.

    Parameters
    ----------
    rich, sharp, dense
        (time, band, y, x) reflectance 0 to 1, with coordinates `time`, `band`, `wavelength` (nm, on band),
        `y`, `x` (pixel centres) and, where there is one, `spatial_ref`. Gaps are said by the coordinate
        `valid` (False) or by the attribute `_FillValue`; other NaN are refused.
        Grids must nest: the coarser ones are integer coarsenings of the finest. Without `rich` the result
        has the bands of `sharp`, and `dense` must have the same: what spatio-temporal methods are for.
        `jointlr` takes any of them: without `sharp`, whichever has the finest pixels stands in for it.
    method
        A method's name, its name and settings, or a method; one that must learn and has not learns here.
    sensors
        The instrument of each role by its catalog name, as {'sharp': 'zy1-02d-vnic', 'dense': 'gf6-wfv'};
        without it a cube's bands are Gaussians of its `fwhm`.
    psf
        Point spread function of all sensors: 'optics' (the instrument's own, else a Gaussian of one pixel),
        'gaussian', 'gaussian:FWHM', 'bilinear' or 'box'.
    dates
        Days to return, one text or several, as '2022-03-01', '2022-03' or '2022-01/2022-03'; None: those of
        `dense`, else all that any sensor saw.
    device
        torch device on which to compute.

    Returns
    -------
    xarray.Dataset
        `reflectance` (time, band, y, x) float32, `qa` (time, y, x) with CF flags, `sigma` where the method
        knows it; coordinates, units and reference system as given.

    Raises
    ------
    CubeError
        When a cube is not what it should be; all its faults at once.
    PlanError
        When it does not fit into memory, a role is missing, or there is no such device.
    MethodError
        When there is no such method.
    """
    given: dict[Role, DataArray | None] = {"rich": rich, "sharp": sharp, "dense": dense}
    cubes = {role: check(cube, role, role) for role, cube in given.items() if cube is not None}
    named = _known_roles(sensors or {})
    roles = Roles(**{role: RoleSpec(sensor=named.get(role), psf=psf) for role in cubes})
    assembly = assemble(cubes, roles)
    chosen = chosen_dates(assembly, [dates] if isinstance(dates, str) else dates)
    maker = _made(method)
    _refuse_unknown_device(device)
    _refuse_if_too_large(assembly, maker)
    seen = {source.role: _observe(source, cubes[source.role], assembly) for source in assembly.sources}
    problem = Problem(assembly.target).with_observations(seen).to(device)
    fitted = maker if maker.state or maker.card.fits == "no" else maker.fit([problem])
    with torch.inference_mode(), full_precision():
        answer = fitted.fuse(problem)
    dead = problem.observations[assembly.lead].dead_bands
    return _labelled(answer, assembly, chosen, fitted, dead.cpu().numpy())


def _known_roles(sensors: Mapping[str, str]) -> Mapping[str, str]:
    for role in sensors:
        if role not in ROLES:
            raise PlanError("fuse, 'sensors'", expected="a role", got=f"'{role}'", mend=nearest(role, ROLES))
    return sensors


def _made(method: str | Mapping[str, Any] | FusionMethod) -> FusionMethod:
    if isinstance(method, FusionMethod):
        return method
    if not isinstance(method, str | Mapping):
        raise MethodError(
            "fuse, 'method'",
            expected="a method, its name, or its name and settings",
            got=type(method).__name__,
            mend=nearest("", methods.names()),
        )
    return methods.create(method)


def _refuse_unknown_device(device: str) -> None:
    """A number is put there and read back: that tells names, absent hardware and devices without memory."""
    try:
        torch.zeros((), device=device).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        raise PlanError(
            "fuse, 'device'",
            expected="a torch device that this machine has",
            got=f"{device!r} ({(str(error).splitlines() or [type(error).__name__])[0]})",
            mend="Use 'cpu', or 'cuda' where there is a GPU.",
        ) from None


def _refuse_if_too_large(assembly: Assembly, method: FusionMethod) -> None:
    need = method.card.memory * 4 * np.prod(assembly.target.shape, dtype=float)
    free = psutil.virtual_memory().available
    if need > free:
        raise PlanError(
            "fuse",
            expected=f"at most {free / 2**30:.1f} GiB, which are free",
            got=f"{need / 2**30:.1f} GiB for {assembly.target.shape} with '{method.card.name}'",
            mend="Cut the cubes with .isel or .sel, or run a recipe, which works tile by tile.",
        )


def _observe(source: Source, cube: DataArray, assembly: Assembly) -> Observation:
    values = torch.from_numpy(np.nan_to_num(np.asarray(cube.values, np.float32)))
    valid = torch.from_numpy(np.array(validity(cube).values))
    noise = None if source.noise is None else torch.from_numpy(source.noise).float()
    return Observation(values, valid, source.view(assembly.target.shape, source.dates), noise)


def _labelled(
    answer: Answer, assembly: Assembly, chosen: Sequence[int], method: FusionMethod, dead: np.ndarray
) -> Dataset:
    """The answer with its coordinates, dead bands (band,) as gaps; the same names as in a published store."""
    keep = list(chosen)
    values = torch.stack([answer.date(i) for i in keep]).cpu().numpy()
    qa = answer.quality[keep, 0].cpu().numpy()
    values = np.where(qa[:, None] > 0, values, np.nan)
    values[:, dead] = np.nan
    coords: dict[str, Any] = {
        "time": assembly.times[keep],
        "band": list(assembly.names),
        "wavelength": ("band", assembly.target.wavelengths.numpy(), {"units": "nm"}),
        **axes_of(assembly.grid),
    }
    if np.isfinite(assembly.fwhm).all():
        coords["fwhm"] = ("band", assembly.fwhm, {"units": "nm"})
    dims = ("time", "band", "y", "x")
    flags = {"flag_values": list(FLAGS), "flag_meanings": " ".join(FLAGS.values())}
    mapped = {"grid_mapping": "spatial_ref"}
    variables: dict[str, Any] = {
        "reflectance": (dims, values, {"units": "1", "long_name": "reflectance", **mapped}),
        "qa": (("time", "y", "x"), qa, {**flags, **mapped}),
    }
    stated = [sigma for i in keep if (sigma := answer.sigma_of(i)) is not None]
    if stated:
        deviation = torch.stack(stated).cpu().numpy()
        variables["sigma"] = (dims, deviation, {"units": "1", "long_name": "standard deviation", **mapped})
    return Dataset(variables, coords, {"method": method.card.name, "source": method.card.source})
