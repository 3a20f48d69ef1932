"""A scene of any size that nobody ever holds: made, coarsened, written and fused piece by piece.

Every value follows from its place alone. Abundances of materials are smooth fields in a mosaic of plots; both
sensors are linear, so what they see is mixed from abundances that were blurred, not from a blurred cube.

    python tests/flow/large_scene.py FOLDER 512 1024 2048 evaluate.coarser=false
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.pipeline.folder import Folder
from stsfusion.sensing.spectra import SpectralResponse, gaussian
from stsfusion.window import Window

CENTRES = (443.0, 490.0, 560.0, 665.0, 740.0, 842.0, 1610.0, 2190.0)
WIDTHS = (20.0, 65.0, 35.0, 30.0, 15.0, 115.0, 90.0, 180.0)
NOISE = {"rich": 5e-4, "sharp": 1e-3}
WAVES, PLOT = 6, 24


@dataclass(frozen=True)
class LargeScene:
    """A square scene, as one hyperspectral and one multispectral instrument see it."""

    size: int
    bands: int = 166
    materials: int = 20
    ratio: int = 4
    seed: int = 0

    @cached_property
    def nm(self):
        return np.linspace(400.0, 2490.0, self.bands)

    @cached_property
    def spectra(self):
        """(material, band) smooth spectra between 0.02 and 0.6."""
        dice = np.random.default_rng(self.seed)
        centre = dice.uniform(400, 2500, (self.materials, 8, 1))
        width = dice.uniform(60, 500, (self.materials, 8, 1))
        height = dice.normal(0, 0.12, (self.materials, 8, 1))
        bumps = (height * np.exp(-0.5 * ((self.nm - centre) / width) ** 2)).sum(1)
        return np.clip(dice.uniform(0.1, 0.4, (self.materials, 1)) + bumps, 0.02, 0.6)

    @cached_property
    def waves(self):
        """Frequencies (material, wave, 2) in cycles a pixel, and phases."""
        dice = np.random.default_rng(self.seed + 1)
        length = np.exp(dice.uniform(np.log(5.0), np.log(120.0), (self.materials, WAVES, 1)))
        angle = dice.uniform(0, 2 * np.pi, (self.materials, WAVES, 1))
        return np.concatenate([np.cos(angle), np.sin(angle)], 2) / length, 2 * np.pi * angle[..., 0]

    def abundances(self, rows, cols):
        """(material, y, x) of these fine pixels; beyond the edges the scene goes on."""
        y, x = np.arange(*rows, dtype=np.float64)[:, None], np.arange(*cols, dtype=np.float64)[None, :]
        frequency, phase = self.waves
        plot = (
            np.floor((y + 5 * np.sin(x / 31)) / PLOT) * 7919
            + np.floor((x + 5 * np.sin(y / 37)) / PLOT) * 104729
        )
        total = np.empty((self.materials, len(y), x.shape[1]), np.float32)
        for m in range(self.materials):
            field = sum(
                np.sin(2 * np.pi * (f[0] * y + f[1] * x) + p)
                for f, p in zip(frequency[m], phase[m], strict=True)
            )
            grown = np.mod(np.sin(plot * 12.9898 + m * 78.233) * 43758.5453, 1.0)
            total[m] = 0.7 * field + 5.0 * grown
        share = np.exp(total - total.max(0))
        return (share / share.sum(0)).astype(np.float32)

    def truth(self, rows, cols):
        """(band, y, x) reflectance."""
        return np.tensordot(self.spectra.T, self.abundances(rows, cols), 1).astype(np.float32)

    @cached_property
    def mixing(self):
        """What each sensor sees of each material, (band', material)."""
        names = tuple(f"s{i + 1}" for i in range(len(CENTRES)))
        curves = tuple(gaussian(c, w) for c, w in zip(CENTRES, WIDTHS, strict=True))
        response = SpectralResponse(names, curves).matrix(self.nm)
        return {"rich": self.spectra.T, "sharp": response @ self.spectra.T}

    def seen(self, role, window):
        """(band', y, x) of a window of a sensor's own pixels, with noise."""
        if role == "sharp":
            shares = self.abundances(window.rows, window.cols)
        else:
            shares = self._coarse(window.rows, window.cols)
        values = np.tensordot(self.mixing[role], shares, 1)
        dice = np.random.default_rng([self.seed, len(values), window.rows[0], window.cols[0]])
        return (values + NOISE[role] * dice.standard_normal(values.shape)).astype(np.float32)

    def _coarse(self, rows, cols):
        """Abundances under a Gaussian as wide as a coarse pixel, which overlaps its neighbours."""
        kernel = gaussian_kernel(float(self.ratio), self.ratio)
        margin = (len(kernel) - self.ratio) // 2
        wide = [(a * self.ratio - margin, b * self.ratio + margin) for a, b in (rows, cols)]
        fine = torch.from_numpy(self.abundances(*wide))[:, None]
        weights = kernel.to(fine)[None, None]
        return torch.nn.functional.conv2d(fine, weights, stride=self.ratio)[:, 0].numpy()

    def write(self, path):
        """Both cubes, a group each, one shard at a time."""
        store, fine = CubeStore(path), Grid((self.size,) * 2, 10.0, (500_000.0, 4_000_000.0), "EPSG:32650")
        for role, grid in (("rich", fine.coarsen(self.ratio)), ("sharp", fine)):
            nm, fwhm = (self.nm, np.full(self.bands, 14.0)) if role == "rich" else (CENTRES, WIDTHS)
            names = tuple(f"{role[0]}{i + 1}" for i in range(len(nm)))
            day = int(np.datetime64("2024-06-01", "ms").astype(int))
            spec = CubeSpec(
                grid, (day,), names, tuple(map(float, nm)), tuple(map(float, fwhm)), shard=192, inner=96
            )
            store.create(role, spec)
            for window in spec.shards():
                values = self.seen(role, window)[None]
                store.write(role, window, values, np.ones((1, 1, 1, 1), bool))
        store.publish()


def fuse(scene, folder, *settings):
    """Write a scene, run the recipe on it as a user would; seconds, memory and accuracy of the run."""
    cubes, out = folder / f"scene-{scene.size}.zarr", folder / f"out-{scene.size}"
    scene.write(cubes)
    said = [f"cubes.{role}={{path: {cubes}, group: {role}}}" for role in ("rich", "sharp")]
    words = [word for text in (*said, f"output={out}", *settings) for word in ("--set", text)]
    begun = time.perf_counter()
    run = subprocess.Popen([sys.executable, "-m", "stsfusion.cli", "run", "hsi-msi", "--quiet", *words])
    _, code, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(code)
    if run.returncode:
        raise RuntimeError(f"the run ended with {run.returncode}")
    marks = Folder(out, "hsi-msi", out).marks()
    tiles = marks["fuse"]["tiles"]
    return {
        "size": scene.size,
        "wall_s": round(time.perf_counter() - begun, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        **{f"{step}_s": marks[step]["seconds"] for step in ("cubes", "fit", "fuse", "evaluate", "report")},
        "tiles": tiles["tiles"],
        "tile_s": round(tiles["fuse_s"] + tiles["read_s"] + tiles["write_s"], 1),
        "worker_mb": tiles["peak_mb"],
        "largest_mb": round(usage.ru_maxrss / 1024, 1),
        "promised_mb": round(marks["fuse"]["need"]["memory"] / 2**20, 1),
        **accuracy(scene, CubeStore(out / "fused.zarr")),
    }


def accuracy(scene, store, side=96):
    """Root mean square error and honesty of the deviation, against the truth of three windows."""
    error, inside = [], []
    for corner in (0, (scene.size - side) // 2, scene.size - side):
        place = (corner, corner + side)
        window = Window((0, 1), place, place)
        gap = store.read("", window)[0][0] - scene.truth(place, place)
        error.append(np.square(gap).mean())
        inside.append((np.abs(gap) <= 1.645 * store.read_sigma("", window)[0]).mean())
    return {"rmse": round(float(np.sqrt(np.mean(error))), 5), "inside90": round(float(np.mean(inside)), 3)}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    sizes, settings = ([word for word in sys.argv[2:] if ("=" in word) == said] for said in (False, True))
    for size in map(int, sizes):
        print(json.dumps(fuse(LargeScene(size), place, *settings)), flush=True)
