"""The checksums of a store are read once, and anew as soon as they may be others."""

from __future__ import annotations

import json
import os

import pytest

from stsfusion.cube.disk import replace
from stsfusion.cube.manifest import FILE, Manifest
from stsfusion.errors import StoreError


def write(store, digest):
    replace(store / FILE, json.dumps({"sha256": {"a/c/0": [3, digest]}}).encode())


def test_checksums_are_read_once(tmp_path):
    assert Manifest.read(tmp_path) is None
    write(tmp_path, "one")
    first = Manifest.read(tmp_path)
    assert first.marks == {"a/c/0": (3, "one")}
    assert Manifest.read(tmp_path) is first


def test_others_are_read_anew(tmp_path):
    write(tmp_path, "one")
    assert Manifest.read(tmp_path).marks["a/c/0"] == (3, "one")
    write(tmp_path, "two")
    assert Manifest.read(tmp_path).marks["a/c/0"] == (3, "two")
    other = tmp_path / "other"
    write(other, "one")
    assert Manifest.read(other).marks["a/c/0"] == (3, "one")
    (tmp_path / FILE).unlink()
    assert Manifest.read(tmp_path) is None


def test_what_a_disk_has_changed_in_place_is_read_anew(tmp_path):
    write(tmp_path, "one")
    assert Manifest.read(tmp_path) is not None
    before = (tmp_path / FILE).stat()
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-1] + b"?")
    os.utime(tmp_path / FILE, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(StoreError, match="a damaged file"):
        Manifest.read(tmp_path)
