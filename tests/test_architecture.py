"""The house: who may import whom. The table is written once, here, and it has no exceptions."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "stsfusion"

FLOORS = {
    "errors": 0, "window": 1,
    "cube": 2, "records": 2, "resources": 2, "quality": 2, "operators": 2,
    "sensing": 3, "running": 3, "views": 3, "export": 3, "fusion": 3,
    "ingest": 4, "forward": 4, "learning": 4,
    "engine": 5, "testing": 5, "methods": 5,
    "pipeline": 6,
    "cli": 7, "analysis": 7, "gpu": 7,
}  # fmt: skip
DOOR = "__init__"
"""The package's own door: looks at everything, lazily."""

DATA_WING = {
    "cube", "sensing", "running", "views", "export", "ingest", "records", "resources", "errors", "window"
}  # fmt: skip
NUMERIC_WING = {"operators", "fusion", "learning", "methods", "quality", "gpu", "errors", "window"}
NUMERIC_MAY = {"torch", "numpy", "safetensors"}
OWNERS = {"zarr": {"cube/arrays.py", "cube/layout.py"}, "distributed": {"running/executor.py"}}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py"))


def part(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Every module that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide the floor"
            yield node.module, node.lineno
            if node.module == "stsfusion":
                yield from ((f"stsfusion.{alias.name}", node.lineno) for alias in node.names)


def own(name):
    """The part of the house that an import names, or None."""
    pieces = name.split(".")
    return pieces[1] if pieces[0] == "stsfusion" and len(pieces) > 1 and pieces[1] in FLOORS else None


def faults(path, text_part):
    """Imports that look up, or at a neighbour on the same floor."""
    for name, line in imports(path):
        target = own(name)
        if target and target != text_part and FLOORS[target] >= FLOORS[text_part]:
            yield f"{path.name}:{line} ({text_part}, floor {FLOORS[text_part]}) imports {name}"


def test_every_part_has_a_floor():
    assert {part(path) for path in modules()} - {DOOR} <= set(FLOORS)


def test_floors_only_look_down():
    found = [fault for path in modules() if part(path) != DOOR for fault in faults(path, part(path))]
    assert not found, "\n".join(found)


def test_a_look_upward_is_seen(tmp_path):
    twin = tmp_path / "blur.py"
    twin.write_text("def f():\n    from stsfusion.fusion.problem import Problem\n    return Problem\n")
    assert list(faults(twin, "operators"))


def test_no_file_loops():
    """No two files of one part import each other, however long the way round."""
    graph = {}
    for path in modules():
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = {target for target, _ in imports(path) if target.startswith("stsfusion.")} - {name}
    done, open_ = set(), []

    def walk(name):
        assert name not in open_, " -> ".join([*open_, name])
        if name in done:
            return
        open_.append(name)
        for target in graph.get(name, ()):
            walk(target)
        done.add(open_.pop())

    for name in graph:
        walk(name)


def test_the_numeric_wing_needs_torch_alone():
    stdlib = set(sys.stdlib_module_names)
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules()
        if part(path) in NUMERIC_WING
        for name, line in imports(path)
        if (own(name) or name.split(".")[0])
        not in stdlib | NUMERIC_MAY | NUMERIC_WING | {"stsfusion", "__future__"}
    ]
    assert not found, "\n".join(found)


def test_heavy_libraries_have_one_owner():
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules()
        for name, line in imports(path)
        for library, owners in OWNERS.items()
        if (
            name.split(".")[0] == library
            or (library == "distributed" and name.startswith("dask.distributed"))
        )
        and path.relative_to(PACKAGE).as_posix() not in owners
    ]
    assert not found, "\n".join(found)


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)


BLOCK = """
import sys, importlib, pkgutil
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {walls!r}:
            raise ImportError('blocked: ' + name)
sys.meta_path.insert(0, Wall())
import stsfusion
for part in {parts!r}:
    module = importlib.import_module('stsfusion.' + part)
    for child in pkgutil.walk_packages(getattr(module, '__path__', []), module.__name__ + '.'):
        importlib.import_module(child.name)
"""


@pytest.mark.parametrize(
    ("parts", "walls"),
    [
        (DATA_WING, {"torch"}),
        (NUMERIC_WING, {"xarray", "dask", "zarr", "distributed", "rasterio", "pydantic"}),
    ],
    ids=["data wing without torch", "numeric wing without xarray"],
)
def test_wings_stand_alone(parts, walls):
    there = sorted(name for name in parts if (PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists())
    done = run(BLOCK.format(walls=walls, parts=there))
    assert done.returncode == 0, done.stderr


def test_the_wall_stops_what_it_should():
    done = run(BLOCK.format(walls={"torch"}, parts=["fusion"]))
    assert "blocked: torch" in done.stderr


def test_the_door_is_light():
    """Importing stsfusion brings neither torch nor any other heavy library."""
    heavy = {"torch", "xarray", "dask", "zarr", "pandas"}
    code = f"import sys, stsfusion; print(sorted({heavy!r} & set(sys.modules)))"
    done = run(code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "misc"])
def test_every_file_is_an_idea(word):
    assert not [path for path in PACKAGE.rglob("*.py") if path.stem == word]
