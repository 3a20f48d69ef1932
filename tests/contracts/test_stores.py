"""Every promise of a store, and twins that break one each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stsfusion.cube.arrays import Arrays
from stsfusion.cube.contract import check_store
from stsfusion.cube.shards import planes
from stsfusion.cube.store import CubeStore


def test_our_store_keeps_its_promises(tmp_path):
    check_store(CubeStore, tmp_path)


class PartialStore(CubeStore):
    """Writes whatever it is given, whole shards or not."""

    def write(self, name, window, values, valid, qa=None, sigma=None):
        listing = self._listing(name, staged=True)
        known = np.broadcast_to(valid, values.shape)
        counts = np.rint(np.clip(values, -3.2767, 3.2767) * 1e4).astype("int16")
        Arrays(self.path, name, listing).write(window, {"reflectance": counts, **planes(known, qa)})


class WrappingStore(CubeStore):
    """Casts before it clips."""

    def write(self, name, window, values, valid, qa=None, sigma=None):
        wrapped = np.rint(values.astype("float64") * 1e4).astype("int64").astype("int16")
        super().write(name, window, wrapped * np.float32(1e-4), valid, qa, sigma)


class ForgetfulStore(CubeStore):
    """Declares _FillValue, and leaves Zarr's own fill value at 0."""

    def create(self, name, spec, **options):
        super().create(name, spec, **options)
        staged = self._publication.staged()
        arrays = dict(staged[name].arrays)
        arrays["reflectance"] = {**arrays["reflectance"], "fill_value": 0}
        self._publication.stage({**staged, name: replace(staged[name], arrays=arrays)})


class EagerStore(PartialStore):
    """Shows a series before it is written."""

    def create(self, name, spec, **options):
        super().create(name, spec, **options)
        show_at_once(self)


class ImpatientStore(PartialStore):
    """Shows new dates before they are written."""

    def extend(self, name, times):
        spec = super().extend(name, times)
        show_at_once(self)
        return spec


def show_at_once(store):
    (store.path / "zarr.json").write_bytes((store.path / ".staged.json").read_bytes())


class DatedStore(CubeStore):
    """Lets the run leave its mark in the file."""

    def create(self, name, spec, **options):
        stamped = replace(spec, attributes={"run": name})
        super().create(name, stamped, **options)


@pytest.mark.parametrize(
    "twin, broken",
    [
        (PartialStore, "part of a shard was written"),
        (WrappingStore, "clipped and not wrapped"),
        (ForgetfulStore, "never written must read as a gap"),
        (EagerStore, "being written must not be seen"),
        (ImpatientStore, "new dates must not be seen"),
        (DatedStore, "must give the same bytes"),
    ],
)
def test_a_broken_twin_fails_for_its_own_reason(twin, broken, tmp_path):
    with pytest.raises(AssertionError, match=broken):
        check_store(twin, tmp_path)
