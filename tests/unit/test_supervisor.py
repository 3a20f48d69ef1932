"""The supervisor keeps as many jobs as the work can use, replaces lost ones and knows when to stop."""

from __future__ import annotations

import time

import pytest

from stsfusion.errors import PlanError
from stsfusion.running import slurmqueue
from stsfusion.running.heap import MALLOC
from stsfusion.running.slurm import Jobs
from stsfusion.running.slurmqueue import QueueTrouble, SlurmQueue
from stsfusion.running.supervisor import Supervisor


class FakeQueue:
    """A queue whose jobs do what the test says."""

    def __init__(self):
        self.there, self.count, self.cancelled = {}, 0, []
        self.refuses = self.mute = None

    def submit(self, script):
        if self.refuses:
            raise QueueTrouble(self.refuses)
        self.count += 1
        self.there[str(self.count)] = "PENDING"
        return str(self.count)

    def states(self):
        if self.mute:
            raise QueueTrouble(self.mute)
        return dict(self.there)

    def cancel(self, jobs):
        self.cancelled += list(jobs)
        for job in jobs:
            self.there.pop(job, None)

    def run(self, *jobs):
        self.there.update(dict.fromkeys(jobs, "RUNNING"))


@pytest.fixture
def queue():
    return FakeQueue()


@pytest.fixture
def supervise(queue, tmp_path):
    """A supervisor of at most four jobs; its workers are a mapping that the test fills."""

    def make(left=100, processes=1, **more):
        workers, said = {}, []
        made = Supervisor(queue, "script", 4, processes, left, lambda: workers, tmp_path, said.append, **more)
        made.workers, made.said = workers, said
        return made

    return make


def test_as_many_jobs_as_the_work_can_use(queue, supervise):
    supervise(left=100).look()
    assert list(queue.there) == ["1", "2", "3", "4"]
    queue.__init__()
    supervise(left=3, processes=2).look()
    assert list(queue.there) == ["1", "2"]


def test_a_lost_job_is_replaced_and_told_of(queue, supervise):
    boss = supervise()
    boss.look()
    queue.run("1", "2", "3", "4")
    boss.workers.update({"1": 1, "2-0": 1, "2-1": 1, "3": 1, "4": 1})
    boss.look()
    del queue.there["2"], boss.workers["2-0"], boss.workers["2-1"]
    boss.look()
    assert set(queue.there) == {"1", "3", "4", "5"}
    assert "job 2 ended with 100 tiles left" in boss.said
    assert boss.stillborn == 0


def test_a_job_that_is_put_back_into_the_queue_is_not_replaced(queue, supervise):
    boss = supervise()
    boss.look()
    queue.run("1", "2", "3", "4")
    boss.workers.update(dict.fromkeys("1234", 1))
    boss.look()
    queue.there["2"] = "PENDING"
    del boss.workers["2"]
    boss.look()
    assert set(queue.there) == {"1", "2", "3", "4"}


def test_jobs_without_work_are_given_back_waiting_ones_first(queue, supervise):
    boss = supervise()
    boss.look()
    queue.run("1", "2", "3")
    boss.workers.update({"1": 1, "2": 0, "3": 0})
    boss.watch(2)
    boss.look()
    assert queue.cancelled == ["4"], "one that waits goes first; one without work only at the second look"
    boss.workers["2"] = 1
    boss.look()
    boss.look()
    assert queue.cancelled == ["4", "3"]
    boss.watch(1)
    for _ in range(3):
        boss.look()
    assert queue.cancelled == ["4", "3"], "those that work are left alone"
    assert set(queue.there) == {"1", "2"}


def test_no_new_jobs_when_nothing_is_left(queue, supervise):
    boss = supervise()
    boss.look()
    queue.run("1", "2", "3", "4")
    boss.workers.update(dict.fromkeys("1234", 1))
    boss.look()
    boss.watch(0)
    queue.there.clear()
    boss.workers.clear()
    boss.look()
    assert queue.there == {}
    assert len(boss.said) == 4


def test_jobs_that_never_work_end_the_run_with_their_log(queue, supervise, tmp_path):
    boss = supervise()
    boss.look()
    (tmp_path / "stsfusion-1.log").write_text("many\nlines\n" * 9 + "module: command not found\n")
    for job in ("3", "2"):
        del queue.there[job]
        boss.look()
    del queue.there["1"]
    with pytest.raises(PlanError, match=r"(?s)3 jobs in a row.*log of job 1.*module: command not found"):
        boss.look()


def test_while_others_work_failing_jobs_only_slow_the_hiring_down(queue, supervise):
    boss = supervise()
    boss.look()
    queue.run("1")
    boss.workers["1"] = 1
    boss.look()
    for patience in (8, 64):
        boss.resting = 0.0
        boss.look()
        assert len(queue.there) == 4
        for _ in range(3):
            queue.there = {"1": "RUNNING"}
            boss.look()
            assert queue.there == {"1": "RUNNING"}, "a node that swallows jobs is fed at once"
        assert boss.resting == pytest.approx(time.monotonic() + patience, abs=2)


def test_what_the_queue_refuses_is_said_at_once(queue, supervise):
    queue.refuses = "invalid account"
    with pytest.raises(PlanError, match=r"(?s)can be submitted, got invalid account.*fuse.slurm"):
        supervise().look()


def test_later_a_refusal_is_waited_out(queue, supervise):
    with supervise(every=60.0) as boss:
        queue.run("1", "2", "3", "4")
        boss.workers.update(dict.fromkeys("1234", 1))
        boss.look()
        del queue.there["4"], boss.workers["4"]
        queue.refuses = "controller is down"
        boss.look()
        boss.look()
        assert set(queue.there) == {"1", "2", "3"}
        queue.refuses, boss.resting = None, 0.0
        boss.look()
        assert len(queue.there) == 4
        queue.mute = "no answer"
        boss.look()
        boss.look()
    assert boss.said.count("SLURM does not answer: no answer") == 1
    assert set(queue.cancelled) == {"1", "2", "3", "5"}, "the end of a run cancels its jobs"


def test_a_run_does_not_begin_without_an_answer(queue, supervise):
    queue.mute = "no answer"
    with pytest.raises(PlanError, match=r"SLURM: expected an answer, got no answer"), supervise():
        raise AssertionError


def test_the_thread_hands_its_trouble_to_the_driver(queue, supervise):
    with supervise(every=0.01) as boss:
        queue.states = lambda: 1 / 0
        deadline = time.monotonic() + 5
        while boss.trouble is None and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(ZeroDivisionError):
            boss.watch(5)


def test_slurm_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlanError, match=r"(?s)command 'squeue'.*login node"):
        SlurmQueue("none").states()


def test_states_of_jobs_that_are_over_do_not_count(monkeypatch):
    said = "11 RUNNING\n12 COMPLETING\n13 PENDING\n14 NODE_FAIL\n"
    monkeypatch.setattr(slurmqueue, "_call", lambda *command, text=None: said)
    assert SlurmQueue("x").states() == {"11": "RUNNING", "13": "PENDING"}


def test_the_job_script_says_what_was_asked(tmp_path):
    jobs = Jobs(
        cores=8,
        processes=2,
        memory="16 GB",
        walltime="02:00:00",
        partition="cpu",
        account="me",
        interface="ib0",
        directives=("--gres=gpu:1",),
        prologue=("module load cuda",),
    )
    lines = jobs.script("name", "tcp://1.2.3.4:5", tmp_path / "logs").splitlines()
    assert lines[0].startswith("#!")
    options = {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")}
    assert {"-J name", "-p cpu", "-A me", "--cpus-per-task=8", "-t 02:00:00", "--gres=gpu:1"} <= options
    assert f'--output="{tmp_path}/logs/%x-%j.log"' in options
    assert "--mem=15G" in options
    assert {f"export {name}_NUM_THREADS=4" for name in ("OMP", "MKL", "OPENBLAS")} <= set(lines)
    assert {f"export {name}={value}" for name, value in MALLOC.items()} <= set(lines)
    assert lines.index("module load cuda") == len(lines) - 2, "the site's own lines come last"
    words = lines[-1].split()
    assert [words[words.index(it) + 1] for it in ("--name", "--nthreads", "--nworkers", "--interface")] == [
        "$SLURM_JOB_ID", "1", "2", "ib0"]  # fmt: skip
    assert "tcp://1.2.3.4:5" in words
    assert not (tmp_path / "logs").exists(), "showing a script leaves nothing behind"
