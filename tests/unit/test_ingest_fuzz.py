"""A thousand broken deliveries: none crashes, hangs, fills the memory, or is taken for sound."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

KINDS = {"tiff", "archive", "xml", "rpb", "header"}
SCRIPT = Path(__file__).parents[1] / "fuzzing.py"


def fuzz(folder, count, seed, openers="guarded", timeout=300):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(count), str(seed), openers],
        capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def failures(found):
    return {end: count for end, count in found["ends"].items() if "failed" in end}


def held(found, count, capsys):
    with capsys.disabled():
        print(f"\nbroken files: {json.dumps(found)}")
    assert found["tried"] == count
    assert found["peak MB"] < 500
    assert failures(found) == {}
    assert {end.split(":")[0] for end in found["ends"]} == KINDS
    assert sum(count for end, count in found["ends"].items() if end.endswith(": refused")) > 0.3 * count


def test_a_thousand_broken_files(tmp_path, capsys):
    held(fuzz(tmp_path, 1000, seed=0), 1000, capsys)


@pytest.mark.slow
def test_twenty_thousand_broken_files(tmp_path, capsys):
    held(fuzz(tmp_path, 20_000, seed=1, timeout=1800), 20_000, capsys)


def test_openers_without_guards_fail(tmp_path):
    """Each kind of file has faults that only the guards find."""
    found = failures(fuzz(tmp_path, 200, seed=0, openers="trusting"))
    assert {end.split(":")[0] for end in found} == KINDS
    assert any("accepted" in end for end in found)
    assert any("accepted" not in end for end in found)
