"""Stores on the command line: parse, call, print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from stsfusion.cli.options import AsJson, Quiet, Store
from stsfusion.cli.terminal import FAILED, plainly, show, tell_in_json
from stsfusion.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from stsfusion.cube.verification import Verdict

__all__ = ["info", "verify"]


def info(store: Store) -> None:
    """Describe a store: size, dates, bands, place, provenance.

    Exit codes: 0 told; 2 nothing is published there.

    [bold]Examples[/bold]

      stsfusion info demo-out/fused.zarr
      stsfusion info demo-out/cubes.zarr
    """
    with plainly():
        found = _described(store)
        if not found:
            raise StoreError(
                f"store {store}",
                expected="a published series or cubes",
                got="nothing published",
                mend="Name a folder such as demo-out/fused.zarr; a run publishes when all tiles are done.",
            )
        for name, facts in found.items():
            show(name or store.name, ("what", "is"), [(key, _short(value)) for key, value in facts.items()])


def _described(store: Path) -> dict[str, dict[str, Any]]:
    """Facts of each dataset; where they cannot be read, the damaged files are named, if it is these."""
    from stsfusion.cube.frames import require_frame
    from stsfusion.cube.store import CubeStore

    try:
        return CubeStore(store).info()
    except StoreError:
        require_frame(store)
        raise


def verify(
    store: Store,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Read every published file of a store and say which is not what it was when it was published.

    A series that is damaged is made anew by 'stsfusion run RECIPE --overwrite'; cubes are, by the same
    command, once their folder is removed. Files that nobody published can be removed. It may run beside an
    update: when something is published meanwhile, it begins again, once.

    Exit codes: 0 all is whole; 2 nothing is published there; 3 something is damaged, missing or unknown;
    75 something is being published: try again later.

    [bold]Examples[/bold]

      stsfusion verify demo-out/fused.zarr
      stsfusion verify demo-out/cubes.zarr --json
    """
    from dataclasses import asdict

    from stsfusion.cube.verification import verify as read_all
    from stsfusion.running.progress import progress

    with plainly(as_json), progress("Reading", 1.0, quiet=quiet) as bar:
        verdict = read_all(store, bar.at)
    code = FAILED if verdict.damages else 0
    if as_json:
        tell_in_json(code, **asdict(verdict))
    else:
        size = f"{verdict.size / 2**20:.1f} MiB"
        rows = [("files", f"{verdict.files} ({size})"), ("not what they were", len(verdict.damages))]
        rows += [(f"  {damage.what}", damage.file) for damage in verdict.damages]
        rows += [("what to do", words) for words in _mends(verdict)]
        for name, dates in verdict.shares.items():
            rows += [(f"{name} {date}".strip(), f"{share:.1%} with data") for date, share in dates.items()]
        show("", ("what", "is"), rows)
    raise typer.Exit(code)


def _mends(verdict: Verdict) -> Iterator[str]:
    """What can be done about the damages."""
    kinds = {damage.what for damage in verdict.damages}
    if kinds - {"unknown"}:
        yield (
            "restore these files from a copy; or make a series anew: 'stsfusion run RECIPE --overwrite'; "
            "or remove a folder of cubes and run its recipe again"
        )
    if "unknown" in kinds:
        yield "remove the unknown files: nobody published them, and no reader sees them"


def _short(value: object) -> str:
    text = (
        json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else str(value)
    )
    return text if len(text) < 400 else text[:397] + "…"
