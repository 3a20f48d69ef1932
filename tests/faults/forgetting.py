"""Forgetting: a disk that changes bits of what a run has made, or of its input, while nobody looks."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

from faults.judge import Judge, done_tiles
from faults.notes import notes_of
from faults.project import STARTS, Project
from faults.tally import Strike, Tally

__all__ = ["forget_a_bit", "forget_input"]


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
        _flip(shard, dice)
        point = f"a bit of {shard.relative_to(out)}"
        tally.strikes.append(Strike("bit forgotten", "tile", point, str(number)))
        flight = project.run(out, "new", twin=twin)
        assert flight.code == 0, flight.printed()
        judge.is_whole(out, point)
        project.drop(out)
        return
    raise AssertionError("no run was killed among its tiles")


def forget_input(project: Project, tally: Tally, number: int, twin: str | None = None) -> None:
    """A few bits of the run's own copy of its input change; then something is made of it.

    Either other settings are asked for, or the series was lost, or the run was killed among its tiles.
    """
    dice = random.Random(number)
    case = "other settings" if twin else dice.choice(["other settings", "series lost", "tiles left"])
    start = "old" if case == "other settings" else ""
    judge = Judge(project, tally, before=start, after=STARTS[start])
    out = _on_its_way(project, dice, case)
    kind = "*/reflectance/c/*/*/*/*" if twin else "**/*"
    files = sorted(path for path in (out / "cubes.zarr").glob(kind) if path.is_file())
    harmed = dice.sample(files, dice.randint(1, 3))
    for path in harmed:
        _flip(path, dice)
    point = f"{case}, bits of {', '.join(path.relative_to(out).as_posix() for path in harmed)}"
    tally.strikes.append(Strike("input forgotten", "ingest", point, str(number)))
    judge.after_fault(out, point)
    flight = project.run(out, STARTS[start], twin=twin)
    assert flight.code == 0, f"{point}: {flight.printed()}"
    judge.is_whole(out, point)
    told = (out / ".stsfusion" / "log.jsonl").read_text()
    assert twin or "cubes spoilt" in told, f"{point}: the run has not noticed"
    project.drop(out)


def _on_its_way(project: Project, dice: random.Random, case: str) -> Path:
    """An output folder of which the same command makes a series."""
    if case == "other settings":
        return project.fresh("old")
    if case == "series lost":
        out = project.fresh("new")
        shutil.rmtree(out / "fused.zarr")
        return out
    deeds = notes_of(project.flights["new"].log)
    kept = [note.count for note in deeds if note.phase == "ledger"]
    for _ in range(20):
        out = project.fresh()
        watch = {"root": str(out), "die": int(signal.SIGKILL), "at": dice.randint(kept[2], kept[-1])}
        project.run(out, "new", watch=watch)
        if done_tiles(out) and not (out / "fused.zarr").exists():
            return out
        project.drop(out)
    raise AssertionError("no run was killed among its tiles")


def _flip(path: Path, dice: random.Random) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)
