"""Series of many dates through the engine: seconds and a worker's memory, of all tiles or of some of them.

    python tests/flow/large_series.py FOLDER jointlr 12x1152 24x2304@288:4

Three sensors see each scene, 166 bands are asked for on every date; `:4` fuses four tiles, spread evenly. A
tile holds all dates that its method looks at: `@288` is the side that keeps 24 of them within what 384 takes
for 12.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from stsfusion.pipeline.enginescene import EngineScene
from stsfusion.pipeline.enginestand import Stand

TILE, WORKERS = 384, 2


def fuse(folder, method, dates, side, count=None, *, bands=166, tile=TILE):
    """Write a scene, fuse its tiles, and tell what that took."""
    stand = Stand(EngineScene(side, bands=bands, dates=dates), folder / f"{dates}x{side}")
    for _ in stand.scene.write(stand.folder / "cubes.zarr"):
        pass
    plan = stand.plan(method, side, tile)
    step = len(plan.tiles) // (count or len(plan.tiles))
    run = stand.run(replace(plan, tiles=plan.tiles[step // 2 :: step][:count]), WORKERS)
    return {
        "method": method if isinstance(method, str) else method["name"],
        "series": f"{dates}x{side}",
        "tile": tile,
        "tiles": f"{run.tiles} of {len(plan.tiles)}",
        "wall_s": round(run.wall_s, 1),
        "fuse_s": round(run.fuse_s, 1),
        "worker_mb": round(run.peak_bytes / 2**20),
    }


if __name__ == "__main__":
    place, name, *sizes = Path(sys.argv[1]), *sys.argv[2:]
    method = {"name": "stsnet", "steps": 20} if name == "stsnet" else name
    for size in sizes:
        series, _, sample = size.partition(":")
        series, _, tile = series.partition("@")
        dates, side = map(int, series.split("x"))
        count = int(sample) if sample else None
        print(json.dumps(fuse(place, method, dates, side, count, tile=int(tile or TILE))), flush=True)
