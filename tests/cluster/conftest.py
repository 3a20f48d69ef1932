"""A SLURM of one node on loopback, begun for the session and ended with it, all of it in one folder."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))  # for small_project

CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
MinJobAge=60
SchedulerParameters=sched_interval=1,batch_sched_delay=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=6000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
"""Four CPUs whatever the machine has: two jobs of ours and whoever else is there must fit."""


@dataclass(frozen=True)
class Slurm:
    """A running SLURM."""

    folder: Path
    """Its configuration, state and logs."""

    def ask(self, *command: str) -> str:
        """What one of its commands prints."""
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def jobs(self) -> list[tuple[str, str]]:
        """Number and state of every job that is not over."""
        return [tuple(line.split()) for line in self.ask("squeue", "-h", "-o", "%A %T").splitlines()]

    def is_at_rest(self, patience: float = 60.0) -> bool:
        """Whether all jobs come to their end."""
        deadline = time.monotonic() + patience
        while (there := self.jobs()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return not there

    def logs(self) -> str:
        """What its daemons last said."""
        return "\n".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("*.log")))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def configure(folder: Path) -> Path:
    """Write configuration and key."""
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    path = folder / "slurm.conf"
    path.write_text(CONFIGURATION.format(host=host, folder=folder, ports=free_ports(2)))
    return path


def start(folder: Path) -> list[subprocess.Popen[bytes]]:
    """Begin munged, slurmctld and slurmd in the foreground."""
    munge = {"key-file": "key", "socket": "socket", "log-file": "log", "pid-file": "pid", "seed-file": "seed"}
    host = socket.gethostname().split(".")[0]
    commands = [
        ["munged", "--foreground", "--force", *(f"--{o}={folder}/munge.{n}" for o, n in munge.items())],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D", "-N", host],
    ]
    begun = []
    for command in commands:
        with (folder / f"{command[0]}.out.log").open("wb") as said:
            begun.append(subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True))
        time.sleep(0.5)
    return begun


def end(process: subprocess.Popen[bytes]) -> None:
    """End a daemon and whatever it began."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        if child.is_running():
            child.kill()


@pytest.fixture(scope="session")
def slurm():
    """The cluster; `make test-cluster` installs what it needs."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name)]
    if missing or os.geteuid():
        pytest.skip(f"needs root and SLURM; missing: {', '.join(missing) or 'root'}; run `make test-cluster`")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # munged wants a way in for everybody
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(configure(folder))
    daemons = start(folder)
    try:
        cluster = Slurm(folder)
        await_node(cluster)
        yield cluster
        subprocess.run(["scancel", "--user=root"], check=False, timeout=30)
        time.sleep(2)
    finally:
        for daemon in reversed(daemons):
            end(daemon)
        os.environ.pop("SLURM_CONF") if before is None else os.environ.update(SLURM_CONF=before)
        shutil.rmtree(folder, ignore_errors=True)


def await_node(cluster: Slurm) -> None:
    """Wait until jobs can run."""
    for _ in range(60):
        try:
            if cluster.ask("sinfo", "-h", "-o", "%T").strip() == "idle":
                return
        except subprocess.CalledProcessError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"SLURM did not come up:\n{cluster.logs()}")
