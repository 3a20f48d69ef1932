"""Known: what was measured of scenes before; the same is not measured again, nor is its archive unpacked.

Each measuring is asked for with all that it looks at: the scene and its files, the frame, the settings, the
code, and the scenes that it is held against, as they were measured. What differs in any of these is measured
anew, and whatever hangs on that as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stsfusion.ingest.options import Options
from stsfusion.ingest.plan import Found
from stsfusion.ingest.remembered import Remembered
from stsfusion.ingest.stamps import bare
from stsfusion.sensing.scene import Scene

__all__ = ["looked_at_by", "measured_or_known", "seen_of"]


def measured_or_known(
    before: Remembered, what: Sequence[Any], scene: Scene, home: Path, measure: Callable[[], Found]
) -> Found:
    """What was measured of a scene, now or before.

    Parameters
    ----------
    what
        All that it hangs on.
    home
        Where the scene's files are by now.
    """
    one = before.found(what, Found, measure)
    return replace(one, piece=replace(one.piece, scene=scene, home=home))


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
