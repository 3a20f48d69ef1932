"""How the run went: rates and shares by the ledger, failed and empty tiles with their reasons."""

import pytest

from stsfusion.pipeline.facts import Report
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.report import render
from stsfusion.pipeline.runpage import TileEnds, tile_ends, tile_lines, troubles
from stsfusion.running.ledger import Ledger
from stsfusion.running.outcome import Failure, Success

TILES = {
    "tiles": 3, "size": "384 × 384 pixels", "halo": 21, "workers": 2, "read_s": 1.0, "fuse_s": 4.0,
    "write_s": 1.0, "peak_mb": 900.4, "grown_mb": 300.2, "valid": 0.5,
}  # fmt: skip


def record(key, valid, fuse_s=1.0):
    return {
        "key": key, "valid": valid, "read_s": 0.5, "fuse_s": fuse_s, "write_s": 0.5, "worker": "a:1",
        "checksum": "0", "peak_bytes": 1, "grown_bytes": 1,
    }  # fmt: skip


LARGE, SMALL, EMPTY = "t0-2.y0-300.x0-100", "t0-2.y0-100.x100-200", "t0-2.y100-300.x100-200"
ENDS = TileEnds(
    (record(LARGE, 0.5, 3.0), record(SMALL, 1.0), record(EMPTY, 0.0)), {"t9": "OSError: no\n disk"}, 4
)


def test_each_tile_counts_by_its_size():
    assert ENDS.valid == pytest.approx((0.5 * 300 + 1.0 * 100) / 600)
    assert TileEnds().valid is None


def test_rates_and_memory_have_their_units():
    said = tile_lines(TILES, ENDS)
    assert said["tiles"] == "3 done, 1 failed, 4 left, 1 of the done without data"
    assert said["speed"].startswith("1.0 tiles per second"), "3 tiles, 2 workers, 6 seconds of work"
    assert "a tile takes 2.0 s" in said["speed"]
    assert said["peak memory"].startswith("900 MiB")
    assert said["valid share"] == "41.7 % of the pixels that were written; by tile 0.0 to 100.0 %"
    assert said["longest tile"] == f"{LARGE}, 4.0 s"


def test_without_a_ledger_the_sums_still_tell():
    said = tile_lines(TILES, TileEnds())
    assert said["valid share"] == "50.0 % (mean over tiles)"
    assert "longest tile" not in said
    assert tile_lines({**TILES, "tiles": 0}, TileEnds())["speed"] == "–"


def test_failed_and_empty_tiles_are_listed_with_reasons():
    failed, empty = troubles(ENDS)
    assert failed.lines == (("t9", "OSError: no disk"),)
    assert empty.lines[0][0] == EMPTY
    assert "masked" in empty.lines[0][1]
    assert troubles(TileEnds((record(LARGE, 1.0),), {})) == []
    many = troubles(TileEnds((), {f"t{i}": "x" for i in range(70)}))[0].lines
    assert (len(many), many[-1]) == (51, ("…", "and 20 more"))


def test_the_page_shows_them():
    text = render(
        Report(title="A run", simulated=False, tiles=tile_lines(TILES, ENDS), troubles=troubles(ENDS))
    )
    assert "How the run went" in text
    for part in ("tiles per second", "OSError: no disk", "Tiles without data", "900 MiB"):
        assert part in text


def test_the_ledger_of_the_published_series_is_read(tmp_path):
    folder = Folder(tmp_path, "small", tmp_path / "small.yaml")
    assert tile_ends(folder) == TileEnds()
    folder.work.mkdir()
    folder.mark("fuse", "abc", [])
    with Ledger.open(folder.ledger, "abc") as ledger:
        ledger.plan([LARGE, SMALL, EMPTY])
        ledger.record(LARGE, Success(record(LARGE, 0.5), 1.0, "a:1"))
        ledger.record(SMALL, Failure("OSError", "no disk"))
    ends = tile_ends(folder)
    assert [one["key"] for one in ends.records] == [LARGE]
    assert dict(ends.failures) == {SMALL: "OSError: no disk"}
    assert ends.left == 1
    folder.mark("fuse", "another", [])
    assert tile_ends(folder).records == (), "another run's tiles are not told of"
