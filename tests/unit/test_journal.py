"""What a run does, line by line."""

import json
import resource
import signal

from stsfusion.pipeline import journal
from stsfusion.pipeline.journal import FILE, Journal
from stsfusion.running.outcome import Failure, Success


def lines(folder):
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_every_line_names_run_time_and_event(tmp_path):
    log = Journal(tmp_path)
    log.begin(command="run")
    log.say("step", step="Fusing", seconds=1.5)
    log.tile("t0-1", Success({"key": "t0-1", "valid": 0.5}, 0.25, "host:1"))
    log.tile("t1-2", Failure("OSError", "no\nroom", worker="host:2"))
    log.end(code=3)
    found = lines(tmp_path)
    assert [line["event"] for line in found] == ["begin", "step", "tile", "tile", "end"]
    assert {line["run"] for line in found} == {log.run}
    assert all(line["time"].endswith("Z") for line in found)
    assert found[2] == found[2] | {"tile": "t0-1", "done": True, "valid": 0.5, "worker": "host:1"}
    assert found[3]["done"] is False
    assert "no\nroom" in found[3]["why"]
    assert found[4]["code"] == 3


def test_a_full_disk_stops_nobody_and_nothing_is_lost(tmp_path, monkeypatch):
    log = Journal(tmp_path)
    log.begin(command="run")

    def full(*words, **more):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal.Path, "open", full)
        log.say("step", step="Fusing")
    assert not (tmp_path / FILE).exists()
    log.end(code=2)
    assert [line["event"] for line in lines(tmp_path)] == ["begin", "step", "end"]


def test_a_disk_that_fills_within_a_line_spoils_none(tmp_path):
    log = Journal(tmp_path)
    log.say("step", step="Reading")
    size = (tmp_path / FILE).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, before[1]))
        log.say("step", step="Fusing")
        assert (tmp_path / FILE).stat().st_size == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    log.end(code=0)
    assert [line.get("step") for line in lines(tmp_path)] == ["Reading", "Fusing", None]


def test_a_line_that_a_death_cut_short_does_not_spoil_the_next(tmp_path):
    (tmp_path / FILE).write_text('{"time": "2026')
    Journal(tmp_path).say("step", step="Fusing")
    torn, whole = (tmp_path / FILE).read_text().splitlines()
    assert torn == '{"time": "2026'
    assert json.loads(whole)["step"] == "Fusing"


def test_who_does_nothing_writes_nothing(tmp_path):
    log = Journal(tmp_path)
    log.begin(command="run")
    log.end(code=0)
    assert not (tmp_path / FILE).exists()


def test_what_comes_before_the_folder_is_written_with_the_rest(tmp_path):
    log = Journal(tmp_path / "later")
    log.begin(command="run")
    log.say("step", step="Reading")
    (tmp_path / "later").mkdir()
    log.say("step", step="Fusing")
    assert [line["event"] for line in lines(tmp_path / "later")] == ["begin", "step", "step"]


def test_runs_follow_each_other_and_a_large_file_is_put_aside(tmp_path, monkeypatch):
    for _ in range(2):
        Journal(tmp_path).say("step")
    assert len({line["run"] for line in lines(tmp_path)}) == 2
    monkeypatch.setattr(journal, "_LARGE", 10)
    Journal(tmp_path).say("step")
    assert len(lines(tmp_path)) == 1
    assert (tmp_path / f"{FILE}.1").exists()
