"""Who reads what a command says may go before its end: the exit code stays what it would have been."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

WITH = """
from stsfusion.cli import main
main()
"""
WITHOUT = """
from stsfusion.cli.ending import heeded
with heeded():
    from stsfusion.cli.commands import app
    app()
"""
VERDICT = """
from stsfusion.cube import verification
from stsfusion.cube.verification import Damage, Verdict

def verify(store, tell):
    return Verdict(1, 2**20, {damages}, {{"": {{f"2022-03-{{n:02}}": 1.0 for n in range(1, 32)}}}})

verification.verify = verify
"""


def code_of(before, after, *words, aside=False, env=None):
    """The exit code where nobody reads standard output, and what standard error says."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", before + after, *words],
            stdout=writer,
            stderr=writer if aside else subprocess.PIPE,
            env=os.environ | (env or {}),
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr or ""


def verdict(*damages):
    return VERDICT.format(damages=f"({''.join(f'Damage({file!r}, {what!r}),' for file, what in damages)})")


WHOLE, HARMED = verdict(), verdict(("c/0", "cut short"))


@pytest.mark.parametrize(
    ("found", "more", "expected"),
    [(WHOLE, ("-q", "--json"), 0), (HARMED, ("-q",), 3)],
    ids=["whole, in JSON", "harmed, in a table"],
)
def test_a_verdict_stays_what_it_is(found, more, expected):
    assert code_of(found, WITH, "verify", "some.zarr", *more) == (expected, "")


def test_nor_need_anyone_read_errors_or_have_them_at_once():
    assert code_of(HARMED, WITH, "verify", "some.zarr", aside=True)[0] == 3
    at_once = {"PYTHONUNBUFFERED": "1"}
    assert code_of(HARMED, WITH, "verify", "some.zarr", "-q", "--json", env=at_once) == (3, "")


def test_without_it_the_pipe_decides():
    assert code_of(WHOLE, WITHOUT, "verify", "some.zarr", "--json", "-q")[0] not in (0, 3)


def test_who_listens_is_told_all_and_a_full_disk_is_no_listener_who_went():
    command = [sys.executable, "-c", WHOLE + WITH, "verify", "some.zarr", "--json"]
    heard = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    (line,) = heard.stdout.splitlines()
    assert (heard.returncode, len(json.loads(line)["shares"][""])) == (0, 31)
    with open("/dev/full", "w") as full:
        assert subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        ).returncode
