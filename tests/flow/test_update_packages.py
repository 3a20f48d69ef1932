"""A folder of deliveries that grows: each night its new, late and reprocessed scenes, and no others."""

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from nightly import one_version
from small_project import bytes_of, here

sys.path.insert(0, str(Path(__file__).parents[1]))

from deliveries import AHSI, GAINS, VNIC, WFV, deliver

from stsfusion.pipeline.folder import Folder
from stsfusion.sensing.sensor import load_sensor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def steady():
    with one_version():
        yield


def update(folder):
    settings = (
        "fuse.method=gsa", "fuse.executor=inline", "fuse.neighbours=1", "fit.tiles=2",
        "evaluate={compare: [], coarser: false}", "report.pictures=false",
        f"scenes={folder}/deliveries", f"output={folder}/out",
        f"ingest.gains.zy1-02d-vnic={folder}/gains.yaml",
    )  # fmt: skip
    done = here("update", "packages", "-q", *(word for text in settings for word in ("--set", text)))
    assert done.exit_code == 0, done.output
    series = xr.open_zarr(folder / "out" / "fused.zarr")
    older = Folder(folder / "out", "packages", folder).generations.older()
    return [str(day)[:10] for day in series.time.values], series.reflectance.values, len(older)


def ingested(folder):
    """Tiles of the input that were made in the last night that brought some."""
    marks = Folder(folder / "out", "packages", folder).marks()
    return marks["cubes"]["intake"]["facts"]["tiles"]["made"]


def test_nights_of_deliveries(tmp_path):
    home = tmp_path / "deliveries"
    wide = WFV.but(lines=60, samples=40)
    deliver(AHSI.but(lines=30, samples=30), home)
    deliver(VNIC.but(lines=90, samples=90), home)
    deliver(wide, home)
    names = load_sensor("zy1-02d-vnic").names
    said = {"sensor": "zy1-02d-vnic", "source": "a test", "unit": "W m-2 sr-1 um-1"}
    gains = {**said, "gains": dict.fromkeys(names, GAINS["MUX"])}
    (tmp_path / "gains.yaml").write_text(yaml.safe_dump(gains))
    days, first, older = update(tmp_path)
    assert (days, older) == (["2021-12-16"], 0)
    assert ingested(tmp_path) == 3

    later = wide.but(utc=wide.utc + timedelta(days=4), number=wide.number + 1, season=0.6)
    deliver(later, home)
    days, both, older = update(tmp_path)
    assert days == ["2021-12-16", "2021-12-20"]
    assert ingested(tmp_path) == 1

    before = bytes_of(tmp_path / "out" / "fused.zarr")
    days, _, same = update(tmp_path)
    assert same == older
    assert bytes_of(tmp_path / "out" / "fused.zarr") == before, "there was nothing new"

    deliver(wide.but(utc=wide.utc - timedelta(days=2), number=wide.number + 2, season=0.4), home)
    days, three, older = update(tmp_path)
    assert days == ["2021-12-14", "2021-12-16", "2021-12-20"]
    assert older == 1
    assert ingested(tmp_path) == 1
    np.testing.assert_array_equal(three[2], both[1])
    assert np.isfinite(first).mean() > 0.5
