"""A recipe over real SLURM jobs ends with the bytes of one process, whatever becomes of a job."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from small_project import bytes_of, project_in, stsfusion

pytestmark = pytest.mark.cluster

TILES = 36
JOBS = ("jobs=2", "cores=1", "memory=1500 MB", "interface=lo")
SAMPLES = Path(__file__).parents[2] / "docs" / "schedule"


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    """The series of one process."""
    recipe = named(project_in(tmp_path_factory.mktemp("inline")))
    done = stsfusion("run", recipe, "-q")
    assert done.returncode == 0, done.stderr
    return bytes_of(recipe.parent / "out" / "fused.zarr")


@pytest.fixture
def recipe(tmp_path):
    return named(project_in(tmp_path))


def named(recipe):
    """With the name that the samples give it; a series tells the name of its recipe."""
    return recipe.rename(recipe.with_name("my-recipe.yaml"))


def done_tiles(recipe):
    """How many tiles the ledger has."""
    ledger = recipe.parent / "out" / ".stsfusion" / "ledger.sqlite"
    if not ledger.exists():
        return 0
    with closing(sqlite3.connect(ledger, timeout=30)) as database:
        try:
            return database.execute("SELECT COUNT(*) FROM keys WHERE state = 'done'").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


CANCEL, KILL = ("scancel",), ("scancel", "--signal=KILL", "--full")


@pytest.mark.parametrize("blow", [CANCEL, KILL], ids=["cancel", "kill"])
def test_jobs_struck_in_the_midst_change_no_byte(slurm, recipe, inline, blow):
    words = ["run", recipe, "--executor", "slurm", *(f"--set=fuse.slurm.{it}" for it in JOBS)]
    command = [sys.executable, "-m", "stsfusion.cli", *map(str, words)]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while (before := done_tiles(recipe)) < 4 and driver.poll() is None:
        time.sleep(0.02)
    struck = [job for job, state in slurm.jobs() if state == "RUNNING"]
    slurm.ask(*blow, *struck)
    _, said = driver.communicate(timeout=200)
    assert driver.returncode == 0, said
    assert 4 <= before < TILES, "the blow did not strike in the midst"
    assert struck
    assert all(f"job {job} ended with" in said for job in struck), said
    assert said.count("submitted") > 2, "no job took the place of a lost one"
    assert bytes_of(recipe.parent / "out" / "fused.zarr") == inline
    assert slurm.is_at_rest(), "jobs were left behind"


def test_an_array_of_three_workers_changes_no_byte(slurm, recipe, inline):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    fewer = ("--array=1-3", "--cpus-per-task=1", "--mem=1500M", "--output=worker-%a.log")
    subprocess.run(
        ["sbatch", *fewer, str(SAMPLES / "array.sbatch")],
        check=True,
        capture_output=True,
        cwd=recipe.parent,
        env={**os.environ, "PATH": path},
    )
    assert slurm.is_at_rest(240)
    logs = {log.name: log.read_text() for log in recipe.parent.glob("worker-*.log")}
    assert len(logs) == 3
    assert bytes_of(recipe.parent / "out" / "fused.zarr") == inline, logs


def test_a_lost_worker_of_an_array_is_made_up_for(slurm, recipe, inline):
    words = ["run", str(recipe), "--executor", "array", "-q"]
    inner = " ".join([sys.executable, "-m", "stsfusion.cli", *words])
    slurm.ask("sbatch", "--array=1-3", "--mem=900M", "--output=/dev/null", f"--wrap={inner}")
    notes = recipe.parent / "out/.stsfusion/workers"
    while not list(notes.glob("*/2-of-3.jsonl")) and slurm.jobs():
        time.sleep(0.02)
    lost = slurm.ask("squeue", "-h", "-o", "%A", "-t", "RUNNING").split()
    array = slurm.ask("squeue", "-h", "-o", "%F").split()
    assert lost
    assert array, "the blow did not strike in the midst"
    slurm.ask("scancel", "--signal=KILL", "--full", f"{array[0]}_2")
    assert slurm.is_at_rest(240)
    assert not (recipe.parent / "out" / "fused.zarr").exists(), "the blow did not strike in the midst"
    done = stsfusion(*words)
    assert done.returncode == 0, done.stderr
    assert bytes_of(recipe.parent / "out" / "fused.zarr") == inline
