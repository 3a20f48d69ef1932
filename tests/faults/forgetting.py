"""Forgetting: a disk that changes a bit of a finished shard while nobody looks."""

from __future__ import annotations

import random
import signal

from faults.judge import Judge, done_tiles
from faults.notes import notes_of
from faults.project import Project
from faults.tally import Strike, Tally

__all__ = ["forget_a_bit"]


def forget_a_bit(project: Project, tally: Tally, number: int, twin: str | None = None) -> None:
    """A run is killed among its tiles; then a finished shard is not what it was; then the run goes on."""
    dice = random.Random(number)
    judge = Judge(project, tally)
    deeds = notes_of(project.flights["new"].log)
    kept = [note.count for note in deeds if note.phase == "ledger"]
    for _ in range(20):
        out = project.fresh()
        at = dice.randint(kept[2], kept[-1])
        project.run(out, "new", watch={"root": str(out), "die": int(signal.SIGKILL), "at": at})
        shards = sorted(p for p in out.glob(".fused-*.zarr/reflectance/c/*/*/*/*") if p.is_file())
        if not done_tiles(out) or not shards:
            tally.drawn_again += 1
            project.drop(out)
            continue
        shard = shards[0] if twin else dice.choice(shards)
        content = bytearray(shard.read_bytes())
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        shard.write_bytes(content)
        point = f"a bit of {shard.relative_to(out)}"
        tally.strikes.append(Strike("bit forgotten", "tile", point, str(number)))
        flight = project.run(out, "new", twin=twin)
        assert flight.code == 0, flight.printed()
        judge.is_whole(out, point)
        project.drop(out)
        return
    raise AssertionError("no run was killed among its tiles")
