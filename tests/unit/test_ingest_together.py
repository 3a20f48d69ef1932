"""Scenes of different quantities: refused on one date, told of between dates."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import timedelta

import pytest
from deliveries import WFV, deliver

from stsfusion.cube.store import CubeStore
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import Day, choose
from stsfusion.ingest.options import Options
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.together import check_together
from stsfusion.sensing.catalog import open_catalog


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    deliver(WFV, folder / "deliveries")
    catalog = build_catalog(folder / "deliveries", folder / "catalog").path
    return choose(open_catalog(catalog, anywhere=True), {"dense": "gf6-wfv"})


def with_another(chosen, days, values):
    ((day,),) = chosen.days.values()
    (scene,) = day.scenes
    other = replace(scene, name="another", values=values, time=scene.time + timedelta(days=days, minutes=1))
    dates = (Day((scene, other)),) if days == 0 else (day, Day((other,)))
    return replace(chosen, days={"dense": dates})


def test_one_date_is_of_one_quantity(chosen, tmp_path):
    mixed = with_another(chosen, 0, "reflectance")
    words = r"'dense', 2021-12-16: .* surface reflectance \(another\) .* atmosphere \(GF6_WFV"
    with pytest.raises(DeliveryError, match=words):
        check_together(mixed, Options())
    with pytest.raises(DeliveryError, match="dark-object"):
        build_cubes(mixed, CubeStore(tmp_path / "no.zarr"), Options())
    check_together(mixed, Options(atmosphere="dark-object"))
    check_together(with_another(chosen, 0, "counts"), Options())


def test_dates_of_different_quantities_are_told_of(chosen):
    with pytest.warns(UserWarning, match="some dates are surface reflectance"):
        check_together(with_another(chosen, 5, "reflectance"), Options())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_together(with_another(chosen, 5, "counts"), Options())
