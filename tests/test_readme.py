"""What a newcomer reads is true: tables fresh, commands there, examples running, worked examples sound."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer.main
from trials import in_this_process
from xarray import DataArray

from stsfusion.cli import app
from stsfusion.cube.georeference import axes_of
from stsfusion.cube.grid import Grid
from stsfusion.errors import SensorError
from stsfusion.pipeline.recipe import load_recipe
from stsfusion.pipeline.steps import DONE, run_recipe
from stsfusion.sensing.sensor import load_sensor
from stsfusion.testing import ContractBroken, check_method, check_sensor

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def only(found):
    (one,) = found
    return one


def loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- tables, links, names


def test_the_tables_are_fresh():
    fresh = loaded(ROOT / "docs" / "tables.py").refreshed(README)
    assert fresh == README, "README.md is stale; refresh it with: .venv/bin/python docs/tables.py"


def test_a_stale_table_is_seen():
    tables = loaded(ROOT / "docs" / "tables.py")
    assert tables.refreshed(README.replace("| `gsa` |", "| `gas` |")) == README
    with pytest.raises(SystemExit, match="lost its marks"):
        tables.refreshed("no tables here")


@pytest.mark.parametrize("text", [README, GUIDE, CHANGES], ids=["README", "CONTRIBUTING", "CHANGELOG"])
def test_links_and_paths_lead_somewhere(text):
    inner = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert all((ROOT / link.split("#")[0]).exists() for link in inner)
    named = re.findall(r"`((?:stsfusion|catalogs|pipelines|docs|tests)/[\w/.-]*)`", text)
    assert all((ROOT / path).exists() for path in named), named


def test_the_picture_is_small():
    assert (ROOT / "docs" / "picture.png").stat().st_size < 300_000


# ---------------------------------------------------------------- commands


def commands(text):
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def understand(words):
    """Assert that a command line is one that make, Python or stsfusion knows, by its options too."""
    program, *rest = words
    if program == "make":
        makefile = (ROOT / "Makefile").read_text()
        unknown = [target for target in rest if not re.search(rf"^{target}:", makefile, re.MULTILINE)]
        assert not unknown
    elif program == "python":
        assert importlib.util.find_spec(rest[1]) if rest[0] == "-m" else (ROOT / rest[0]).is_file()
    else:
        assert program == "stsfusion"
        parse(typer.main.get_command(app), rest)


def parse(command, rest):
    """Walk to the command, and find every option among its own; it is not run."""
    while rest and rest[0] != "--help" and hasattr(command, "commands"):
        assert rest[0] in command.commands
        command, rest = command.commands[rest[0]], rest[1:]
    options = {"--help", *(option for each in command.params for option in each.opts)}
    assert {word for word in rest if word.startswith("-")} <= options


@pytest.mark.parametrize("words", commands(README) + commands(GUIDE), ids=" ".join)
def test_commands_are_there(words):
    understand(words)


def test_the_verbs_that_speak_json_are_those_that_can():
    sentence = only(
        re.findall(r"Asked for it by `--json`, (.*?) print one\s+line of JSON", README, re.DOTALL)
    )
    able = {
        name
        for name, command in typer.main.get_command(app).commands.items()
        if any("--json" in each.opts and each.is_flag for each in command.params if hasattr(each, "is_flag"))
    }
    assert set(re.findall(r"`(\w+)`", sentence)) == able


@pytest.mark.parametrize(
    "line", ["make dmeo", "mkae", "stsfusion rnu demo", "stsfusion run demo --sett a=b", "python tabels.py"]
)
def test_a_command_that_is_not_there_is_seen(line):
    with pytest.raises(AssertionError):
        understand(line.split())


# ---------------------------------------------------------------- the README's recipe and Python


def seen(values, nm, names, dates, pixel):
    """A labelled cube (time, band, y, x) of square pixels with a common corner."""
    grid = Grid(values.shape[2:], pixel, (398000.0, 4420000.0), "EPSG:32650")
    coords = {
        **axes_of(grid),
        "time": pd.date_range("2022-01-05", periods=5, freq="30D")[dates],
        "band": np.array(names, dtype=object),
        "wavelength": ("band", nm, {"units": "nm"}),
    }
    return DataArray(values.astype(np.float32), dims=("time", "band", "y", "x"), coords=coords)


def coarse(values, ratio):
    time, band, y, x = values.shape
    return values.reshape(time, band, y // ratio, ratio, x // ratio, ratio).mean((3, 5))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the README's recipe and three small series under the names that it gives them."""
    folder = tmp_path_factory.mktemp("newcomer")
    nm = np.arange(400.0, 1061.0, 20.0)
    time, y, x = np.indices((5, 36, 36))
    green = 0.5 + 0.4 * np.sin(0.7 * time + (x // 9) + 2 * (y // 12))
    crop, soil = 0.05 + 0.4 / (1 + np.exp(-(nm - 715) / 20)), 0.1 + 0.2 * (nm - 400) / 660
    truth = np.einsum("tyx,b->tbyx", green, crop) + np.einsum("tyx,b->tbyx", 1 - green, soil)
    some, all_ = [0, 2, 4], [0, 1, 2, 3, 4]
    sharp, dense = load_sensor("zy1-02d-vnic"), load_sensor("gf6-wfv")

    def broad(sensor):
        return np.einsum("ob,tbyx->toyx", sensor.response().matrix(nm), truth)

    rich = seen(coarse(truth[some], 3), nm, [f"b{i}" for i in range(len(nm))], some, 30.0)
    rich.to_dataset(name="reflectance").to_netcdf(folder / "hyperspectral.nc", engine="h5netcdf")
    fine = seen(broad(sharp)[some], sharp.wavelengths, sharp.names, some, 10.0)
    fine.to_dataset(name="sr").to_netcdf(folder / "multispectral.nc", engine="h5netcdf")
    many = seen(coarse(broad(dense), 2), dense.wavelengths, dense.names, all_, 20.0)
    many.to_dataset(name="reflectance").to_zarr(folder / "many-dates.zarr", zarr_format=2)
    (folder / "my-recipe.yaml").write_text(only(blocks(README, "yaml")))
    return folder


@pytest.fixture(scope="module")
def run_there(place):
    """The README's recipe, run with a method that learns within a second; the demo's folder names."""
    with pytest.MonkeyPatch.context() as patch, in_this_process():
        patch.chdir(place)
        cheap = [
            "fuse.method=gsa",
            "fuse.executor=inline",
            "output=demo-out",
            "evaluate.compare=[lineartime]",
        ]
        return run_recipe(*load_recipe("my-recipe.yaml", cheap), quiet=True)


def test_the_recipe_is_read_as_it_stands(place, monkeypatch):
    monkeypatch.chdir(place)
    recipe, _ = load_recipe("my-recipe.yaml")
    assert recipe.output == "my-out"
    assert recipe.cubes.files["sharp"].variable == "sr"


def test_the_recipe_runs_to_the_files_that_are_promised(place, run_there):
    assert run_there.code == DONE
    promised = re.findall(
        r"^\| `([\w.*-]+)` \|", README.split("Results are in")[1].split("##")[0], re.MULTILINE
    )
    assert len(promised) == 5
    for name in promised:
        assert list((place / "demo-out").glob(name)), name


def test_the_python_example_runs(place, run_there, monkeypatch, capsys):
    monkeypatch.chdir(place)
    lines = only(blocks(README, "python"))
    there = {}
    exec(compile(lines, "README.md", "exec"), there)
    assert there["fused"].reflectance.shape == (5, 34, 36, 36)
    difference = float(capsys.readouterr().out.splitlines()[-1])
    assert 0 <= difference < 0.02
    assert len([line for line in lines.splitlines() if line.strip()]) <= 10


# ---------------------------------------------------------------- the guide's worked examples


def written(folder, start, language, changed=None):
    """A worked example of the guide as a file of its own name."""
    text = only(block for block in blocks(GUIDE, language) if block.startswith(start))
    name = re.search(r"[\w-]+", text)[0] + (".py" if language == "python" else ".yaml")
    path = folder / name
    path.write_text(changed(text) if changed else text)
    return path


def test_the_worked_method_keeps_every_promise(tmp_path):
    path = written(tmp_path, '"""sfim:', "python")
    method = loaded(path).SFIM
    assert method().card.name == path.stem
    check_method(method)


def test_the_worked_method_with_a_guessed_halo_is_caught(tmp_path):
    path = written(tmp_path, '"""sfim:', "python", lambda text: re.sub(r"return low \+.*", "return 2", text))
    with pytest.raises(ContractBroken, match="seams"):
        check_method(loaded(path).SFIM)


def test_the_worked_sensor_is_sound(tmp_path):
    sensor = load_sensor(written(tmp_path, "# landsat5-tm:", "yaml"))
    check_sensor(sensor)
    assert (sensor.name, len(sensor.bands)) == ("landsat5-tm", 6)


def test_the_worked_sensor_in_micrometres_is_caught(tmp_path):
    def micrometres(text):
        return text.replace("[450, 520", "[0.45, 520").replace("[520, 600", "[0.52, 600")

    path = written(tmp_path, "# landsat5-tm:", "yaml", micrometres)
    with pytest.raises(SensorError, match="wavelengths"):
        check_sensor(load_sensor(path))


# ---------------------------------------------------------------- the changelog


def test_the_changelog_tells_of_this_version():
    import stsfusion

    assert re.search(rf"^## \[{re.escape(stsfusion.__version__)}\]", CHANGES, re.MULTILINE)
    assert "### Added" in CHANGES
