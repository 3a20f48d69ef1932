"""A file is the same file by whatever path it is reached, and another one once it has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stsfusion.pipeline.stamps import stamps


@pytest.fixture
def places(tmp_path):
    """A recipe's folder with a file, and another file elsewhere."""
    for name in ("home/data/rich.nc", "elsewhere/sharp.nc"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"1234")
        os.utime(tmp_path / name, ns=(0, 1_000))
    return tmp_path


def test_the_working_folder_and_the_recipes_name_do_not_count(places, monkeypatch):
    home, outside = places / "home", places / "elsewhere/sharp.nc"
    expected = [("data/rich.nc", 4, 1_000), (outside.as_posix(), 4, 1_000)]
    assert stamps([home / "data/rich.nc", outside], home) == expected
    monkeypatch.chdir(home)
    assert stamps([Path("data/rich.nc"), Path("../elsewhere/sharp.nc")], Path()) == expected
    assert stamps([home / "data/rich.nc", outside], Path("data/..")) == expected
    monkeypatch.chdir(places)
    assert stamps([Path("home/data/rich.nc"), outside], Path("home")) == expected


def test_recipe_and_input_may_be_moved_together(places):
    before = stamps([places / "home/data/rich.nc"], places / "home")
    (places / "home").rename(places / "moved")
    assert stamps([places / "moved/data/rich.nc"], places / "moved") == before


def test_folders_have_none_and_another_size_or_time_tells(places):
    file = places / "home/data/rich.nc"
    before = stamps([file, file.parent], places)
    assert len(before) == 1
    os.utime(file, ns=(0, 2_000))
    later = stamps([file], places)
    file.write_bytes(b"12345")
    os.utime(file, ns=(0, 2_000))
    assert len({*before, *later, *stamps([file], places)}) == 3
