"""Fixtures that all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from xarray import DataArray

from stsfusion.cube.georeference import axes_of
from stsfusion.cube.grid import Grid

if "PYTEST_XDIST_WORKER" in os.environ:  # a process for each core: one thread, and for what they start too
    os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parent))  # so that any test can say `from strategies import …`

settings.register_profile(
    "quick", max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("quick")


def pytest_configure(config: pytest.Config) -> None:
    """Count the faults that are tried, and fail a whole run of too few."""
    import rejections

    if not config.pluginmanager.has_plugin("rejections"):
        config.pluginmanager.register(rejections, "rejections")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real scenes kept outside the project; a test that asks for them skips where they are not."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("STSFUSION_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set STSFUSION_DATA")
    return folder


@pytest.fixture(scope="session")
def make_cube() -> Callable[..., DataArray]:
    """A small cube whose values tell their own place: (y · 64 + x + 7 band + 11 time) · 1e-4."""

    def make(shape: tuple[int, int, int, int] = (3, 4, 30, 36), grid: Grid | None = None) -> DataArray:
        time, band, y, x = np.indices(shape)
        grid = grid or Grid(shape[2:], 10.0, (398000.0, 4420000.0), "EPSG:32650")
        return DataArray(
            ((y * 64 + x + 7 * band + 11 * time) * 1e-4).astype(np.float32),
            dims=("time", "band", "y", "x"),
            coords={
                **axes_of(grid),
                "time": pd.date_range("2021-12-13", periods=shape[0], freq="31D"),
                "band": [f"b{i + 1}" for i in range(shape[1])],
                "wavelength": ("band", 450.0 + 60 * np.arange(shape[1])),
                "fwhm": ("band", np.full(shape[1], 20.0)),
            },
            name="reflectance",
        )

    return make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the fault tests counted, in whichever processes they ran."""
    from faults.tally import tell

    tell(terminalreporter)
