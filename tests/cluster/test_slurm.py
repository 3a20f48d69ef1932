"""Keys in real SLURM jobs: all are done, whatever becomes of a job."""

from __future__ import annotations

import pytest

from stsfusion.errors import PlanError
from stsfusion.running.outcome import Success
from stsfusion.running.slurm import Jobs, Slurm

pytestmark = pytest.mark.cluster

ASKED = {"jobs": 2, "cores": 1, "memory": "900 MB", "interface": "lo"}


def sleepy(seconds):
    """Closures travel by value: jobs cannot import this file."""

    def work(key):
        import os
        import time

        time.sleep(seconds)
        return key * key, os.environ["SLURM_JOB_ID"], os.environ["OMP_NUM_THREADS"]

    return work


class Run:
    """What a run told; `strike` is called once, after some keys."""

    def __init__(self, after=None, strike=None):
        self.ends, self.said, self.after, self.strike = {}, [], after, strike

    def __call__(self, key, end):
        assert key not in self.ends, "an end was told twice"
        self.ends[key] = end
        if self.after is not None and len(self.ends) == self.after:
            self.strike()


def executor(run, folder, **more):
    return Slurm(
        Jobs(**{**ASKED, **more}), limit=60.0, logs=folder / "100 % äö ü", tell=run.said.append, every=1.0
    )


def test_a_job_that_is_cancelled_is_replaced_and_no_key_is_lost(slurm, tmp_path):
    def strike():
        running = [job for job, state in slurm.jobs() if state == "RUNNING"]
        struck.append(running[0])
        slurm.ask("scancel", running[0])

    struck = []
    run = Run(6, strike)
    outcome = executor(run, tmp_path).run(sleepy(0.7), range(40), run)
    assert (outcome.done, outcome.failed, outcome.left) == (40, 0, ())
    assert all(isinstance(end, Success) and end.value[0] == key**2 for key, end in run.ends.items())
    worked = {end.value[1] for end in run.ends.values()}
    assert len(worked) == 3, "the cancelled job, its companion and the one in its place should have worked"
    assert struck[0] in worked
    assert any(f"job {struck[0]} ended" in words for words in run.said)
    assert {end.value[2] for end in run.ends.values()} == {"1"}
    assert slurm.is_at_rest(), "jobs were left behind"
    assert len(list(tmp_path.rglob("*.log"))) == 3


def test_two_workers_in_a_job_and_no_more_jobs_than_needed(slurm, tmp_path):
    run = Run()
    outcome = executor(run, tmp_path, jobs=4, cores=2, processes=2).run(sleepy(0.1), range(3), run)
    assert (outcome.done, outcome.failed) == (3, 0)
    assert sum("submitted" in words for words in run.said) == 2


def test_jobs_that_end_before_their_worker_comes_end_the_run_with_their_log(slurm, tmp_path):
    run = Run()
    with pytest.raises(PlanError, match=r"(?s)SLURM jobs: expected a worker.*3 jobs in.*no such module"):
        executor(run, tmp_path, prologue=("echo no such module >&2; exit 1",)).run(sleepy(0), range(9), run)
    assert run.ends == {}
    assert slurm.is_at_rest()


def test_what_sbatch_refuses_is_said_at_once(slurm, tmp_path):
    run = Run()
    with pytest.raises(PlanError, match=r"(?s)SLURM: expected that jobs can be submitted.*partition"):
        executor(run, tmp_path, partition="nowhere").run(sleepy(0), range(9), run)
