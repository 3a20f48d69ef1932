"""Worker processes take memory by our rules, and give back what is free when they are asked to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stsfusion.running import heap
from stsfusion.running.executor import Local
from stsfusion.running.heap import MALLOC, compact

_HOLES = """
import psutil
from stsfusion.running.heap import compact
blocks = []
for _ in range(60):
    blocks.append(bytearray(2 * 2**20))
    blocks.append(bytearray(2000))
full = psutil.Process().memory_info().rss
del blocks[::2]
holes = psutil.Process().memory_info().rss
compact()
print(full, holes, psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(heap._trim() is None, reason="the C library keeps its pages")
def test_holes_between_what_is_kept_are_given_back_when_asked_and_not_before():
    environment = {**os.environ, **{name: str(value) for name, value in MALLOC.items()}}
    told = subprocess.run([sys.executable, "-c", _HOLES], env=environment, capture_output=True, check=True)
    full, holes, compacted = (int(word) / 2**20 for word in told.stdout.split())
    assert full - holes < 20, "blocks of two megabytes are the system's own"
    assert holes - compacted > 90


def test_a_c_library_that_cannot_is_left_alone(monkeypatch):
    monkeypatch.setattr(heap, "_trim", lambda: None)
    compact()


@pytest.mark.parametrize("said", [None, "4"])
def test_workers_begin_with_these_rules_unless_the_environment_says_otherwise(monkeypatch, said):
    for name in MALLOC:  # which other clusters of this process may have set
        monkeypatch.delenv(name, raising=False)
    if said is not None:
        monkeypatch.setenv("MALLOC_ARENA_MAX", said)
    names, found = list(MALLOC), []
    Local(workers=1).run(
        lambda key: [os.environ.get(name) for name in names], [0], lambda _, end: found.append(end)
    )
    expected = {name: str(value) for name, value in MALLOC.items()} | (
        {} if said is None else {"MALLOC_ARENA_MAX": said}
    )
    assert dict(zip(names, found[0].value, strict=True)) == expected


def test_the_readme_tells_others_the_same_rules():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert " ".join(f"{name}={value}" for name, value in MALLOC.items()) in readme
