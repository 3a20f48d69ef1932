"""Small stores of cubes that were made of deliveries, with a lineage whose every figure is planted."""

import numpy as np

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.sensing.sensor import load_sensor
from stsfusion.window import Window

MARKS = {"saturated": 16, "partial": 32, "cloud": 64, "shadow": 128}
DAY = 86_400_000
START = 1_639_360_000_000
"""2021-12-13, milliseconds."""

RICH = {band.name: band.wavelength for band in load_sensor("zy1-02d-ahsi").bands}
OVERLAP = [band.name for band in load_sensor("zy1-02d-ahsi").bands if "overlap" in band.flags]
SHARP = {
    name: load_sensor("zy1-02d-vnic").pick([name])[0].wavelength for name in ("B02", "B03", "B04", "B05")
}
DENSE = {name: load_sensor("gf6-wfv").pick([name])[0].wavelength for name in ("B1", "B2", "B3", "B4")}
SENSORS = {"rich": "zy1-02d-ahsi", "sharp": "zy1-02d-vnic", "dense": "gf6-wfv"}

VECTORS = [[12.0, 10.0, 0.3, -1.2], [12.0, 40.0, 0.35, -1.25], [40.0, 24.0, 0.25, -1.15]]
MOVED = {
    "against": "sharp 2021-12-13 B05", "band": "B05", "status": "good", "moved": True, "down": 0.3,
    "right": -1.2, "spread": 0.05, "unit": "pixels of this cube", "windows": 4, "vectors": VECTORS,
}  # fmt: skip
FAR_VECTORS = [[12.0, 10.0, 4.0, 3.0], [40.0, 24.0, 4.1, 2.9], [12.0, 40.0, 3.9, 3.1]]
FAR = MOVED | {"status": "large", "moved": False, "down": 4.0, "right": 3.0, "vectors": FAR_VECTORS}
LOST = MOVED | {"status": "nothing to compare", "moved": False, "down": 0.0, "right": 0.0, "vectors": []}
SEAM = {
    "status": "good", "ratio": 1.06, "spread": 0.002, "pixels": 900, "shift": "good", "down": 0.0,
    "right": 0.5, "detector": "SW", "moved": True, "dimmed": True,
}  # fmt: skip


def scene(name, **more):
    return {
        "scene": name, "time": "2021-12-13T02:58:31+00:00", "level": "L1A", "sun_zenith": 62.8,
        "view_zenith": None, "files": [{"path": "a.tif", "sha256": "ab" * 32}],
        "gains": ["1: published", "2: published"], "steps": ["reflectance"], "notes": [], **more,
    }  # fmt: skip


def ground(bands, rows, cols, level=0.2):
    """(band, y, x) brighter with the wavelength, and from place to place."""
    nm = np.array(list(bands.values()))
    y, x = np.mgrid[:rows, :cols]
    place = 1 + 0.3 * np.sin(x / 5.0) * np.cos(y / 7.0)
    return (level * (nm / 1000)[:, None, None] * place).astype(np.float32)


def write(store, role, bands, pixel, size, dates, *, qa=None, valid=None, values=None, flags=None, **more):
    """One cube; `dates` are lists of scenes, three days apart."""
    lineage = [{"date": f"2021-12-{13 + 3 * i}", "scenes": scenes} for i, scenes in enumerate(dates)]
    spec = CubeSpec(
        Grid((size, size), pixel, (500000.0, 4150000.0), "EPSG:32650"),
        tuple(START + 3 * DAY * i for i in range(len(dates))),
        tuple(bands),
        tuple(bands.values()),
        shard=48,
        inner=24,
        attributes={
            "role": role,
            "sensor": SENSORS[role],
            "band_flags": flags or {},
            "lineage": lineage,
            **more,
        },
        marks=MARKS,
    )
    store.create(role, spec)
    shape = (len(dates), len(bands), size, size)
    values = np.broadcast_to(ground(bands, size, size), shape) if values is None else values
    valid = np.ones((len(dates), 1, size, size), bool) if valid is None else valid
    qa = np.ones((len(dates), size, size), np.uint16) if qa is None else qa
    known = np.broadcast_to(valid, shape)
    for window in spec.shards():
        (first, last), (top, bottom), (left, right) = window.dates, window.rows, window.cols
        at = slice(first, last), slice(top, bottom), slice(left, right)
        store.write(role, Window(*map(tuple, (window.dates, window.rows, window.cols))),
                    values[at[0], :, at[1], at[2]], known[at[0], :, at[1], at[2]], qa=qa[at])  # fmt: skip


def three_sensors(folder, *, seam=SEAM, rich=None, dense=None):
    """A store of rich (30 m), sharp (10 m) and dense (10 m, four dates), with planted masks."""
    store = CubeStore(folder / "cubes.zarr")
    flags = {name: ["overlap"] for name in OVERLAP}
    write(store, "sharp", SHARP, 10.0, 144, [[scene("VNIC")]])
    told = {} if seam is None else {"detectors": seam}
    told |= rich or {"registration": MOVED}
    write(store, "rich", RICH, 30.0, 48, [[scene("AHSI", **told)]], flags=flags)
    qa = np.ones((4, 144, 144), np.uint16)
    valid = np.ones((4, 1, 144, 144), bool)
    qa[1, :36], valid[1, :, :36] = MARKS["cloud"], False
    qa[1, 36:54], valid[1, :, 36:54] = MARKS["shadow"], False
    qa[2, :, :72] |= MARKS["saturated"]
    qa[3], valid[3, :, :, 108:] = 1, False
    names = dense or [{"registration": MOVED}, {"registration": FAR}, {"registration": LOST}, {}]
    write(store, "dense", DENSE, 10.0, 144, [[scene(f"WFV{i}", **one)] for i, one in enumerate(names)],
          qa=np.where(valid[:, 0] | (qa > 7), qa, 0).astype(np.uint16), valid=valid)  # fmt: skip
    store.publish()
    return store
