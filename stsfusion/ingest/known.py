"""Known: what was measured of scenes before; the same is not measured again, nor is its archive unpacked.

Each measuring is asked for with all that it looks at: the scene and its files, the frame, the settings, the
code, and the scenes that it is held against, as they were measured. What differs in any of these is measured
anew, and whatever hangs on that as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from stsfusion.cube.disk import replace as written
from stsfusion.ingest.options import Options
from stsfusion.ingest.plan import Found
from stsfusion.ingest.stamps import bare, print_of
from stsfusion.sensing.scene import Scene

__all__ = ["Known", "looked_at_by", "seen_of"]


@dataclass(frozen=True)
class Known:
    """A folder of what was measured, each in a file named after what it hangs on."""

    folder: Path | None = None
    """Where; None: nothing is kept."""

    version: str = ""
    """Of the code, and of what is known of the instruments; '': nothing is kept."""

    used: set[str] = field(default_factory=set)
    """Files that were asked for."""

    def found(self, what: Sequence[Any], scene: Scene, home: Path, measure: Callable[[], Found]) -> Found:
        """What was found of a scene, measured now or before; the same to the last digit.

        Parameters
        ----------
        what
            All that it hangs on.
        home
            Where the scene's files are by now.
        """
        if self.folder is None or not self.version:
            return measure()
        file = self.folder / f"{print_of(self.version, *what)}.json"
        self.used.add(file.name)
        one = _read(file)
        if one is None:
            measured = measure()
            content = _adapter().dump_python(measured, mode="json")
            written(file, json.dumps({"sha256": print_of(content), "found": content}).encode())
            one = _read(file) or measured
        return replace(one, piece=replace(one.piece, scene=scene, home=home))

    def forget(self) -> None:
        """Remove what nobody asked for."""
        for file in [] if self.folder is None else self.folder.glob("*.json"):
            if file.name not in self.used:
                file.unlink()


def looked_at_by(options: Options, scenes: Iterable[Scene]) -> list[Any]:
    """Settings, and what files of these scenes are: deliveries, masks, heights."""
    names = {scene.name: scene for scene in scenes}
    masks = {name: path for name, path in options.masks.items() if name in names}
    beside = [*masks.values()]
    if options.terrain is not None and options.terrain.model is not None:
        beside.append(options.terrain.model)
    files = [path for scene in names.values() for path in _files(scene)]
    asked = replace(options, masks=masks, allow_missing=False)
    return [asked, [_state(path) for path in (*beside, *files)]]


def seen_of(found: Iterable[Found]) -> list[Any]:
    """What was measured of scenes, wherever they lie."""
    return [[bare(one.piece), one.told] for one in found]


def _files(scene: Scene) -> list[Path]:
    home = Path(scene.delivery)
    return [home] if scene.archive else [home / file.path for file in scene.files]


def _state(path: Path) -> list[Any]:
    """Name, size and time of a file; the name alone where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return [path.name]
    return [path.name, found.st_size, found.st_mtime_ns]


def _read(file: Path) -> Found | None:
    """What was found; None where there is no such file, or it is damaged."""
    try:
        content = json.loads(file.read_bytes())
        sound = content["sha256"] == print_of(content["found"])
        one: Found | None = _adapter().validate_python(content["found"]) if sound else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return one


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(Found)
