"""The doctor tells what a run depends on, and what to do about what is amiss."""

from __future__ import annotations

from collections import namedtuple
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from stsfusion.cube import generations
from stsfusion.pipeline import doctor
from stsfusion.pipeline.doctor import VERSIONED, examine, memory_limit, versions

GB = 2**30


def found(folder):
    return {each.what: each for each in examine(folder)}


def test_everything_is_looked_at(tmp_path):
    seen = found(tmp_path)
    assert {
        "Python",
        "GPU",
        "cores",
        "memory",
        "disk",
        "new generations",
        "dashboard",
        *VERSIONED,
    } == seen.keys()
    assert all(each.says for each in seen.values())
    assert str(tmp_path) in seen["disk"].says


def test_a_dashboard_is_told_and_its_lack_is_nothing_amiss(tmp_path, monkeypatch):
    said = {}
    for bokeh in ("missing", "3.9"):
        monkeypatch.setattr(doctor, "_version", lambda name, found=bokeh: found)
        said[bokeh] = doctor._dashboard()
    assert "pip install bokeh" in said["missing"].says
    assert "bokeh 3.9" in said["3.9"].says
    assert not said["missing"].mend


def test_a_file_system_that_cannot_exchange_folders_is_told(tmp_path, monkeypatch):
    assert "in one step" in found(tmp_path)["new generations"].says
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(generations, "_swap", lambda one, other: False)
    assert "for a moment there is none" in found(tmp_path)["new generations"].says
    monkeypatch.setattr(doctor, "exchanges", lambda folder: Path(folder, "none", "there").mkdir())
    assert "cannot tell: No such file" in found(tmp_path)["new generations"].says


def test_versions_are_the_installed_ones():
    assert versions() == {name: version(name) for name in VERSIONED}


def test_a_missing_package_is_told_with_its_mend(tmp_path, monkeypatch):
    def without_zarr(name):
        if name == "zarr":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", without_zarr)
    seen = found(tmp_path)
    assert (seen["zarr"].says, seen["zarr"].mend) == ("missing", "pip install zarr")
    assert not seen["numpy"].mend
    assert versions()["zarr"] == "missing"


@pytest.mark.parametrize(
    ("memory", "disk", "amiss"),
    [(8 * GB, 50 * GB, set()), (2 * GB, 50 * GB, {"memory"}), (8 * GB, 1 * GB, {"disk"})],
)
def test_little_memory_and_disk_are_amiss(tmp_path, monkeypatch, memory, disk, amiss):
    room = namedtuple("room", "available total free")
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: room(memory, 16 * GB, 0))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: room(0, 0, disk))
    assert {name for name, each in found(tmp_path).items() if each.mend} == amiss


@pytest.mark.parametrize(
    ("said", "limit"),
    [("max\n", 16 * GB), (f"{4 * GB}\n", 4 * GB), (f"{64 * GB}\n", 16 * GB), (None, 16 * GB)],
)
def test_the_limit_is_the_control_groups_when_that_is_less(monkeypatch, said, limit):
    room = namedtuple("room", "total")
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: room(16 * GB))

    def read(path):
        if said is None:
            raise FileNotFoundError(path)
        return said

    monkeypatch.setattr(doctor.Path, "read_text", read)
    assert memory_limit() == limit


def test_a_gpu_is_named(monkeypatch):
    about = namedtuple("about", "name total_memory")
    monkeypatch.setattr(doctor.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(doctor.torch.cuda, "get_device_properties", lambda i: about("Big One", 80 * GB))
    assert "Big One, 80.0 GiB" in doctor._gpu().says
    monkeypatch.setattr(doctor.torch.cuda, "is_available", lambda: False)
    assert "CPU" in doctor._gpu().says
