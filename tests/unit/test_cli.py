"""The command line: what each command prints, and its exit codes."""

import json

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from stsfusion import __version__, methods
from stsfusion.cli import app
from stsfusion.cli.bench import Simulated
from stsfusion.cli.terminal import show
from stsfusion.errors import MethodError
from stsfusion.sensing.sensor import sensor_names


def call(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def test_version():
    assert call("--version").stdout.strip() == __version__


def verbs(command=None, words=()):
    """Every command that does something, by its words."""
    command = command or get_command(app)
    below = getattr(command, "commands", None)
    if not below:
        return [" ".join(words)]
    return [verb for name, each in below.items() for verb in verbs(each, (*words, name))]


def speaking(command):
    """Whether it has a `--json` that takes no file."""
    return any("--json" in each.opts and getattr(each, "is_flag", False) for each in command.params)


def wrong(command, missing):
    """Words for all that a command needs, none of which is there."""
    for each in command.params:
        if each.required:
            yield from ([each.opts[0]] if each.opts[0].startswith("-") else [])
            yield str(missing)


SPEAKING = {name: command for name, command in get_command(app).commands.items() if speaking(command)}


@pytest.mark.parametrize("verb", SPEAKING)
def test_who_is_asked_for_json_says_one_line_on_errors_too(verb, tmp_path, monkeypatch):
    def refuse(*given):
        raise MethodError("method 'none'", mend="Remove it.")

    monkeypatch.setattr(methods, "card", refuse)
    monkeypatch.chdir(tmp_path)
    done = call(verb, *wrong(SPEAKING[verb], tmp_path / "none"), "--json")
    assert done.exit_code == 2
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert said["code"] == 2
    assert "none" in said["words"]
    assert "Traceback" not in done.stderr


def test_a_wrong_option_a_job_and_a_comparison_are_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("cubes: {rich: a.zarr}\nfuse: {method: bicubic}\n")
    job = ("run", "own.yaml", "--executor", "slurm", "--print-job", "--json")
    for code, words, key in (
        (2, ("export", tmp_path, "--format", "cog", "--area", "1,2", "--json"), "words"),
        (0, job, "script"),
        (2, ("run", "own.yaml", "--print-job", "--json"), "words"),
        (0, ("status", "own.yaml", "--json"), "output"),
        (0, ("plan", "hyconet-tables", "--json"), "words"),
        (0, ("methods", "--json"), "methods"),
    ):
        done = call(*words)
        (line,) = done.stdout.splitlines()
        assert (done.exit_code, json.loads(line)["code"]) == (code, code), words
        assert json.loads(line)[key]


def test_who_was_not_begun_is_told_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("cubes: {rich: a.zarr}\nfuse: {method: bicubic}\n")
    said = json.loads(call("status", "own.yaml", "--json").stdout)["output"]
    assert said == f"{tmp_path / 'own-out'} (not begun: 'output:' is seen from {tmp_path})"
    elsewhere = ("--set", f"output={tmp_path / 'there'}")
    assert json.loads(call("status", "own.yaml", "--json", *elsewhere).stdout)["output"] == (
        f"{tmp_path / 'there'} (not begun)"
    )
    done = call("update", "own.yaml", "--quiet")
    assert done.exit_code == 2
    assert f"the series begins: {tmp_path / 'own-out'}\n" in done.stderr
    assert "the series begins" not in call("run", "own.yaml", "--quiet").stderr


LISTS = {"methods", "sensors", "schema"}
"""They cannot go wrong."""


@pytest.mark.parametrize("command", verbs())
def test_help_teaches(command):
    """An example of the very command, and how it ends."""
    done = call(*command.split(), "--help")
    assert done.exit_code == 0
    said = done.stdout
    assert f"stsfusion {command}" in said.partition("Example")[2], "no example"
    assert ("Exit code" in said or "exit code" in said) is (command not in LISTS)


def test_the_first_help_names_every_command():
    said = call("--help").stdout
    assert {verb.split()[0] for verb in verbs()} <= set(said.split())
    assert "stsfusion run demo" in said


def test_methods_and_sensors_list_all_of_them():
    rows = json.loads(call("methods", "--json").stdout)["methods"]
    assert [row["name"] for row in rows] == methods.names()
    assert all(row["source"] and row["needs"] for row in rows)
    table = call("sensors").stdout
    assert all(name in table for name in sensor_names())


def test_schema_knows_every_method_and_section():
    schema = json.loads(call("schema").stdout)
    assert {"cubes", "simulate", "roles", "fit", "fuse", "evaluate", "report", "output"} <= set(
        schema["properties"]
    )
    known = [entry["properties"]["name"]["const"] for entry in schema["$defs"]["Method"]["anyOf"][1:]]
    assert known == methods.names()


def test_doctor_looks_at_everything():
    said = call("doctor").stdout
    assert all(word in said for word in ("torch", "zarr", "GPU", "cores", "memory", "disk"))


def test_mistakes_end_with_two_and_a_mend(tmp_path):
    done = call("run", tmp_path / "none.yaml")
    assert done.exit_code == 2
    assert "no such file" in done.stderr
    done = call("info", tmp_path)
    assert done.exit_code == 2
    assert "published" in done.stderr
    done = call("bench", "sts", tmp_path / "none.nc")
    assert done.exit_code == 2
    assert "none.nc" in done.stderr
    done = call("bench", "sts", tmp_path / "none.nc", "--rich-dates", "a,b")
    assert done.exit_code == 2
    assert "0,2,4,6" in done.output


def test_clouds_of_a_comparison_go_to_every_sensor_on_the_dates_that_are_named():
    said = Simulated(clouds=0.5, cloudy_dates="2,3", seed=4).protocol()
    assert said.clouds == {"rich": 0.5, "sharp": 0.5, "dense": 0.5}
    assert said.cloudy_dates == (2, 3)
    assert Simulated().protocol().settings() == type(said)().settings()


def test_tables_fold_what_is_long_and_cut_nothing(capsys):
    name, reason = "ZY1E_AHSI_E118.26_N37.75_20211213_011804_L1A0000362353_" * 2 + "end", "bad " * 60
    show("", ("delivery", "why"), [(name, reason)])
    lines = capsys.readouterr().out.splitlines()
    assert "…" not in "".join(lines)
    left = "".join(line[: lines[0].index("why")].strip() for line in lines[1:])
    assert left == name


@pytest.mark.parametrize("verb", ["run", "update"])
def test_help_says_that_quiet_runs_say_nothing_of_success(verb):
    said = " ".join(call(verb, "--help").stdout.replace("│", " ").split())
    assert "No progress bars and no words of success; standard error tells what is amiss." in said


@pytest.mark.parametrize("named", ["", ",", " , "])
def test_tiles_that_name_none_are_not_all_tiles(named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = call("run", "demo", "--tiles", named, "--json")
    (line,) = refused.stdout.splitlines()
    said = json.loads(line)
    assert (refused.exit_code, said["code"], said["command"], said["recipe"]) == (2, 2, "run", "demo")
    assert "option '--tiles': expected keys of tiles between commas" in said["words"]
    assert f"got '{named}', which names none" in said["words"]
    assert "leave the option out for all" in said["words"]
    assert not list(tmp_path.iterdir())
