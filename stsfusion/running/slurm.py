"""Slurm: workers in jobs of a SLURM cluster, as many as the work that is left can use."""

from __future__ import annotations

import math
import signal
import threading
import uuid
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import dask.config

from stsfusion.running.executor import OnDone, Outcome, connected, run_over
from stsfusion.running.heap import MALLOC
from stsfusion.running.owncluster import THREADS, settings_for
from stsfusion.running.rules import Rules
from stsfusion.running.slurmqueue import SlurmQueue
from stsfusion.running.supervisor import Supervisor

__all__ = ["Jobs", "Slurm"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

_NOWHERE = "tcp://ADDRESS-OF-THE-RUN:PORT"
"""Stands for the scheduler in a script that is only shown."""


@cache
def _jobqueue() -> Any:
    """dask-jobqueue, once it is needed: to be imported it takes Ctrl-C for itself, and gives it back here."""
    before = signal.getsignal(signal.SIGINT)
    import dask_jobqueue

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, before)
    return dask_jobqueue


@dataclass(frozen=True)
class Jobs:
    """What is asked of SLURM. None: what ~/.config/dask/jobqueue.yaml says, else SLURM's own default."""

    jobs: int = 4
    """Jobs at most at one time."""

    cores: int = 2
    """Cores of one job."""

    memory: str | int = "8 GB"
    """Memory of one job, bytes or such as `8 GB`."""

    processes: int = 1
    """Workers of one job, one tile each at a time; they share its cores and its memory."""

    walltime: str | None = None
    """Longest time of a job, such as `02:00:00`; one that is cut off is replaced."""

    partition: str | None = None
    """Queue."""

    account: str | None = None
    """Who pays."""

    interface: str | None = None
    """Network interface through which nodes and this machine reach each other, such as `ib0`."""

    directives: tuple[str, ...] = ()
    """More options of sbatch, such as `--gres=gpu:1`."""

    prologue: tuple[str, ...] = ()
    """Lines of shell before the worker begins, such as `module load cuda`."""

    def script(self, name: str = "stsfusion", scheduler: str = _NOWHERE, logs: Path | None = None) -> str:
        """The job script.

        Parameters
        ----------
        name
            Of the job.
        scheduler
            Address that its workers report to.
        logs
            Folder of the logs; None: where sbatch puts them.
        """
        settings = self.settings(name, logs)
        job = _jobqueue().slurm.SLURMJob(scheduler=scheduler, name="$SLURM_JOB_ID", **settings)
        return "\n".join(line.rstrip() for line in job.job_script().splitlines()) + "\n"

    def settings(self, name: str, logs: Path | None) -> dict[str, Any]:
        """The same in the words of dask-jobqueue."""
        log = [] if logs is None else [_output(logs)]
        memory = [f"export DASK_DISTRIBUTED__WORKER__MEMORY__{deed}=False" for deed in _LENIENT]
        threads = dict.fromkeys(THREADS, max(1, self.cores // self.processes))
        environment = [f"export {name}={value}" for name, value in (threads | MALLOC).items()]
        return {
            "job_name": name,
            "cores": self.processes,  # a thread of Dask each
            "job_cpu": self.cores,
            "memory": str(self.memory),
            "processes": self.processes,
            "walltime": self.walltime,
            "queue": self.partition,
            "account": self.account,
            "interface": self.interface,
            "job_extra_directives": [*log, *self.directives],
            "job_script_prologue": [*environment, *memory, *self.prologue],
        }


def _output(logs: Path) -> str:
    """The directive that names a job's log: sbatch parts words at blanks, and reads `%` as a pattern."""
    folder = str(logs.resolve()).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'--output="{folder}/%x-%j.log"'


_LENIENT = ("TARGET", "SPILL", "PAUSE")
"""What Dask would do to a worker that fills its memory with data, of which ours hold none."""


@dataclass(frozen=True)
class Slurm(Rules):
    """Workers in jobs of a SLURM cluster, seen after by a Supervisor.

    The scheduler is in this process: nodes must reach this machine, and see its folders.
    """

    jobs: Jobs = Jobs()
    """What is asked of SLURM."""

    logs: Path | None = None
    """Folder of the jobs' logs."""

    dashboard: bool = False
    """Whether to serve Dask's dashboard on a free port."""

    tell: Callable[[str], None] = field(default=print, compare=False, repr=False, kw_only=True)
    """Where it says the dashboard's address, and what becomes of jobs."""

    every: float = 10.0
    """Seconds between two looks at the queue."""

    patience: float = field(default=math.inf, init=False)
    """Jobs may wait in the queue for as long as it takes."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`."""
        site = _Site(self)
        return run_over(self, site.client, work, keys, on_done, site.watch)


@dataclass
class _Site:
    """One run of a Slurm executor."""

    executor: Slurm
    supervisor: Supervisor | None = None

    def watch(self, left: int) -> None:
        """See `Supervisor.watch`."""
        if self.supervisor is not None:
            self.supervisor.watch(left)

    @contextmanager
    def client(self, tasks: int) -> Iterator[Any]:
        """A client of a fresh scheduler in this process, whose workers come with the jobs."""
        asked, logs = self.executor.jobs, self.executor.logs
        if logs is not None:
            logs.mkdir(parents=True, exist_ok=True)
        name = f"stsfusion-{uuid.uuid4().hex[:8]}"
        options = {"dashboard_address": ":0", "dashboard": self.executor.dashboard}
        with (
            dask.config.set(settings_for(1)),
            _jobqueue().SLURMCluster(
                scheduler_options=options, silence_logs="CRITICAL", **asked.settings(name, logs)
            ) as cluster,
            connected(cluster) as client,
        ):
            self.supervisor = Supervisor(
                SlurmQueue(name),
                asked.script(name, cluster.scheduler_address, logs),
                asked.jobs,
                asked.processes,
                tasks,
                lambda: client.run_on_scheduler(_busy),
                logs,
                self.executor.tell,
                self.executor.every,
            )
            with self.supervisor:
                yield client


def _busy(dask_scheduler: Any) -> dict[str, int]:
    """On the scheduler: tasks of each worker, by its name."""
    return {str(state.name): len(state.processing) for state in dask_scheduler.workers.values()}
