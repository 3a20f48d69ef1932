"""Doctor: versions, GPU, memory limit, threads and disk of this machine, for a bug report or a new user."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

from stsfusion.cube.generations import exchanges

__all__ = ["VERSIONED", "Finding", "examine", "memory_limit", "versions"]

VERSIONED = ("stsfusion", "xarray", "dask", "distributed", "zarr", "numpy", "torch", "rasterio", "odc-geo")
"""Packages whose versions belong to a result's provenance."""


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    what: str
    """The thing that was looked at."""

    says: str
    """What was found."""

    mend: str = ""
    """What to do about it; empty when all is well."""


def versions() -> dict[str, str]:
    """Versions of the packages that make a result."""
    return {name: _version(name) for name in VERSIONED}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def memory_limit() -> int:
    """Bytes that this process may use: of the machine, or of its control group when that is less."""
    total = int(psutil.virtual_memory().total)
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def examine(folder: Path) -> Iterator[Finding]:
    """Look at everything that a run depends on.

    Parameters
    ----------
    folder
        Where results would be written.
    """
    yield Finding("Python", f"{platform.python_version()} at {sys.executable}")
    for name, found in versions().items():
        yield Finding(name, found, f"pip install {name}" if found == "missing" else "")
    yield _gpu()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("cores", f"{cores} for this process, torch uses {torch.get_num_threads()} thread(s)")
    free = int(psutil.virtual_memory().available)
    low = "Close other programs, or use a smaller 'tile:'." if free < 3 * 2**30 else ""
    yield Finding("memory", f"{_gb(free)} free of {_gb(memory_limit())}", low)
    disk = shutil.disk_usage(folder).free
    yield Finding("disk", f"{_gb(disk)} free at {folder}", "Free some disk." if disk < 2 * 2**30 else "")
    yield _replacing(folder)
    yield _dashboard()


def _replacing(folder: Path) -> Finding:
    """How a new generation takes the place of a series."""
    what = "new generations"
    try:
        at_once = exchanges(folder)
    except OSError as error:
        return Finding(what, f"cannot tell: {error.strerror} at {folder}")
    if at_once:
        return Finding(what, f"take a series' place in one step at {folder}")
    return Finding(what, f"take a series' place by renames at {folder}: for a moment there is none to open")


def _dashboard() -> Finding:
    found = _version("bokeh")
    if found == "missing":
        return Finding("dashboard", "none, bokeh is missing: runs go on without it; 'pip install bokeh'")
    return Finding("dashboard", f"Dask's, by bokeh {found}: a run over workers tells its address")


def _gpu() -> Finding:
    if not torch.cuda.is_available():
        return Finding("GPU", "none that torch can use; everything runs on the CPU as well")
    about = torch.cuda.get_device_properties(0)
    return Finding("GPU", f"{about.name}, {_gb(about.total_memory)}, CUDA {torch.version.cuda}")


def _gb(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
