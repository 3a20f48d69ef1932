"""The dashboard's address is told when a dashboard is there, and only then."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from rich.console import Console

from stsfusion.running import executor
from stsfusion.running.executor import Address, Local, _dashboard
from stsfusion.running.progress import progress
from stsfusion.running.slurm import Slurm


@contextmanager
def serving(*there):
    """A scheduler that answers with these pages."""

    class Page(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200 if self.path in there else 404)
            self.end_headers()

        def log_message(self, *words):
            return

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/status"
        finally:
            server.shutdown()
            thread.join()


def test_only_a_page_that_draws_counts():
    for there, counts in (
        (("/status", "/static/js/bokeh.min.js"), True),
        (("/status",), False),  # Dask says there that bokeh is missing
        ((), False),  # the scheduler was told to serve none
    ):
        with serving(*there) as link:
            assert _dashboard(SimpleNamespace(dashboard_link=link)) == (link if counts else None)


def test_no_answer_is_no_dashboard():
    assert _dashboard(SimpleNamespace(dashboard_link="http://127.0.0.1:1/status")) is None
    assert _dashboard(SimpleNamespace(dashboard_link="")) is None
    assert _dashboard(SimpleNamespace()) is None


def test_a_run_says_where_it_is(monkeypatch):
    said = []
    monkeypatch.setattr("stsfusion.running.executor._dashboard", lambda client: "http://here/status")
    Local(1, memory="1 GB", tell=said.append).run(abs, [-1], lambda key, end: None)
    assert said == ["dashboard http://here/status"]


def test_a_run_says_once_what_a_dashboard_needs_and_only_where_it_is_its_own(monkeypatch):
    monkeypatch.setattr(executor, "find_spec", lambda name: None)
    wanted = ["no dashboard: it needs bokeh, which 'pip install bokeh' brings"]
    for rules, said in ((Local(1), wanted), (Slurm(), wanted), (Address("tcp://a:1"), [])):
        assert list(executor._watching(rules, SimpleNamespace())) == said
    monkeypatch.setattr(executor, "find_spec", lambda name: "there")
    assert not list(executor._watching(Local(1), SimpleNamespace())), "nobody wanted one"


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_said_stands_in_a_line_of_its_own(terminal):
    console = Console(force_terminal=terminal, width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with progress("Fusing", 3, console=console) as bar:
        bar.advance()
        bar.say("dashboard http://here/[x]")
    console.file.close()
    assert "dashboard http://here/[x]\n" in console.export_text()


def test_quiet_is_quiet(capsys):
    with progress("Fusing", 3, quiet=True) as bar:
        bar.say("dashboard")
    assert capsys.readouterr() == ("", "")
