"""Where catalogs and pipelines are found."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stsfusion import resources


def test_the_installed_catalogs_are_there():
    assert (resources.installed("catalogs") / "sensors" / "gf6-wfv.yaml").is_file()


def test_the_recipes_folder_comes_first_then_the_working_folder(tmp_path, monkeypatch):
    near, here = tmp_path / "near", tmp_path / "here"
    for folder in (near, here):
        (folder / "catalogs" / "sensors").mkdir(parents=True)
        (folder / "catalogs" / "sensors" / "mine.yaml").touch()
    monkeypatch.chdir(here)
    assert resources.find("catalogs", "sensors/mine.yaml", near) == near / "catalogs/sensors/mine.yaml"
    assert resources.find("catalogs", "sensors/mine.yaml") == here / "catalogs/sensors/mine.yaml"
    assert resources.find("catalogs", "sensors/gf6-wfv.yaml", near) == (
        resources.installed("catalogs") / "sensors/gf6-wfv.yaml"
    )
    assert resources.folders("catalogs", near)[-1] == resources.installed("catalogs")


def test_one_folder_reached_twice_is_listed_once(tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resources.folders("pipelines", tmp_path).count(tmp_path / "pipelines") == 1


def test_nothing_outside_is_found(tmp_path):
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "secret.yaml").touch()
    assert resources.find("catalogs", "../secret.yaml", tmp_path) is None
    assert resources.find("catalogs", str(tmp_path / "secret.yaml"), tmp_path) is None


def test_only_the_standard_library_is_needed():
    path = Path(resources.__file__)
    code = f"import runpy; runpy.run_path({str(path)!r})"
    subprocess.run([sys.executable, "-S", "-I", "-c", code], check=True, timeout=60)


def test_a_wheel_holds_the_catalogs(tmp_path):
    pytest.importorskip("setuptools", minversion="77", reason="building a wheel needs setuptools 77")
    root, source = Path(__file__).parents[2], tmp_path / "source"
    shutil.copytree(root / "stsfusion", source / "stsfusion", symlinks=True)
    for folder in ("catalogs", "pipelines"):
        shutil.copytree(root / folder, source / folder)
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        (source / name).write_text((root / name).read_text() if (root / name).is_file() else "")
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, timeout=120, capture_output=True)
    held = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    for shelf in ("catalogs", "pipelines"):
        files = [path.relative_to(root) for path in (root / shelf).rglob("*") if path.is_file()]
        assert {f"stsfusion/_{path.as_posix()}" for path in files} <= held
