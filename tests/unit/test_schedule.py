"""The samples for cron, systemd and SLURM parse, and the commands in them exist."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from stsfusion.cli import app

SAMPLES = Path(__file__).parents[2] / "docs" / "schedule"
COMMAND = re.compile(r"^[^#\n]*?\bstsfusion\"? ((?:run|update) .*?)(?: >>.*)?$", re.MULTILINE)


def check_command(text):
    """Parse a command as the command line would, and run nothing."""
    verb, *words = shlex.split(text)
    group = typer.main.get_command(app)
    context = group.make_context("stsfusion", [verb, *words])
    kind = group.get_command(context, verb)
    return kind.make_context(verb, words, parent=context).params


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir()))
def test_commands_in_samples_exist(sample):
    found = COMMAND.findall((SAMPLES / sample).read_text())
    assert len(found) == (0 if sample.endswith(".timer") else 1), "a sample has one command"
    for text in found:
        assert check_command(text)["recipe"] == "my-recipe.yaml"
        assert check_command(text)["quiet"]


def test_a_command_that_does_not_exist_is_found():
    with pytest.raises(Exception, match="No such option"):
        check_command("run my-recipe.yaml --exekutor slurm")


@pytest.mark.parametrize("sample", ["array.sbatch", "driver.sbatch"])
def test_job_scripts_are_shell_with_directives_first(sample):
    lines = (SAMPLES / sample).read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    last = max(number for number, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert all(line.startswith("#") for line in lines[:last]), "SLURM reads no directives after a command"
    subprocess.run(["bash", "-n", SAMPLES / sample], check=True)


def test_the_crontab_has_five_fields_of_time():
    (line,) = [it for it in (SAMPLES / "crontab").read_text().splitlines() if not it.startswith("#")]
    minute, hour, *rest = line.split()[:5]
    assert (0 <= int(minute) < 60, 0 <= int(hour) < 24, rest) == (True, True, ["*"] * 3)
    assert "%" not in line, "cron takes it for the end of a line"


def units():
    parsed = {}
    for kind in ("service", "timer"):
        reader = configparser.ConfigParser(interpolation=None)
        reader.optionxform = str
        reader.read(SAMPLES / f"stsfusion-update.{kind}")
        parsed[kind] = reader
    return parsed


def test_the_units_belong_together():
    parsed = units()
    assert parsed["service"]["Service"]["Type"] == "oneshot"
    assert parsed["service"]["Service"]["SuccessExitStatus"] == "75"
    assert parsed["timer"]["Install"]["WantedBy"] == "timers.target"
    assert "Unit" not in parsed["timer"]["Timer"], "a timer begins the service of its own name"


def test_systemd_takes_the_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    for path in SAMPLES.glob("stsfusion-update.*"):
        text = path.read_text().replace("%h/venv/bin/stsfusion", sys.executable)
        (tmp_path / path.name).write_text(text)
    checked = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(
        ["systemd-analyze", "verify", *checked], capture_output=True, text=True, check=False
    )
    own = [line for line in done.stderr.splitlines() if "stsfusion-update" in line]
    assert not own, own
    assert done.returncode == 0, done.stderr
