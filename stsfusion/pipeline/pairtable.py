"""Pairtable: a hyperspectral–multispectral benchmark on the terminal: a table a scene, one over all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from stsfusion.pipeline.benchtable import add_columns, inside, scores
from stsfusion.pipeline.contest import COST
from stsfusion.pipeline.pairstage import SCORES
from stsfusion.pipeline.summary import MEDIANS, WINS

__all__ = ["boards"]

Row = Mapping[str, Any]


def boards(result: Mapping[str, Any]) -> Iterator[Table | Text]:
    """What was left out, a table a scene and point spread function, and one over all scenes.

    A star marks methods that were shortened.
    """
    yield from map(Text, dict.fromkeys(note for said in result["scenes"] for note in said["notes"]))
    for said in result["scenes"]:
        place = said["scene"], said["psf"]
        rows = [row for row in result["rows"] if (row["scene"], row["psf"]) == place]
        yield _scene_table(said, rows)
        yield from (
            Text(f"{row['method']} failed: {row['error']}", style="red") for row in rows if "error" in row
        )
    if result["summary"]:
        yield _summary_table(result["summary"])


def _scene_table(said: Row, rows: Sequence[Row]) -> Table:
    board = Table(title=_title(said), caption="* shortened" if any(row["quick"] for row in rows) else None)
    board.add_column("method", overflow="fold")
    add_columns(board, SCORES)
    board.add_column("in 90 % (deciles)", justify="right")
    add_columns(board, COST)
    for row in rows:
        name = Text(row["method"] + ("*" if row["quick"] else ""))
        cells = [*scores(row, SCORES), inside(row), *scores(row, COST)]
        board.add_row(name, *cells, style="red" if "error" in row else None)
    return board


def _title(said: Row) -> str:
    told = "blind" if said["blind"] else "known"
    sharp = f"{said['pair']} (real)" if said["pair"] else f"{said['msi']} {','.join(said['bands'])}"
    noise = "" if said["snr_db"] is None else f", {said['snr_db']:g} dB"
    shift = f", shift {said['shift']:g} px" if said["shift"] else ""
    return f"{said['scene']}: ratio {said['ratio']}, {said['psf']}{shift}{noise}, {sharp}, {told}"


def _summary_table(lines: Sequence[Row]) -> Table:
    """Medians over the scenes and wins, best first."""
    board = Table(title="over all scenes: medians, and the number of scenes where none was better")
    board.add_column("psf")
    board.add_column("method", overflow="fold")
    board.add_column("scenes", justify="right")
    add_columns(board, MEDIANS)
    for name in WINS:
        board.add_column(f"first in {name.upper()}", justify="right")
    last = lines[0]["psf"]
    for line in lines:
        if line["psf"] != last:
            board.add_section()
            last = line["psf"]
        wins = [str(line[f"{name}_wins"]) for name in WINS]
        board.add_row(line["psf"], Text(line["method"]), str(line["scenes"]), *scores(line, MEDIANS), *wins)
    return board
