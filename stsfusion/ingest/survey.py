"""Survey: every delivery below a folder, looked at; what is bad is told and holds up no other.

::

    used       scenes, each once and in its newest form
    refused    deliveries that are bad: a product's name, a note, or a product inside says what was meant
    strange    images and archives that nothing says to be deliveries
    others     files of no such kind
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from stsfusion.errors import StsfusionError
from stsfusion.ingest.archive import archive_stem, unpacked
from stsfusion.ingest.files import digest
from stsfusion.ingest.finding import files_below
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.look import Looking, look, unexpected
from stsfusion.ingest.recognise import (
    is_named,
    others,
    product_name,
    recognised,
    strays,
)
from stsfusion.ingest.refusal import CrowdError, DeliveryError, Refused
from stsfusion.ingest.remembered import Remembered
from stsfusion.ingest.versions import newest, once
from stsfusion.sensing.scene import Scene

__all__ = ["Survey", "survey"]

_SHOWN = 5
"""Names that are told of files that are no deliveries."""


@dataclass(frozen=True)
class Survey:
    """What lies below a folder."""

    scenes: tuple[Scene, ...]
    """Each acquisition once, in its newest form, by time."""

    refused: tuple[Refused, ...]
    """Deliveries that are bad, and why."""

    strange: tuple[Refused, ...]
    """Images and archives that were not recognised, and why."""

    others: tuple[str, ...]
    """Paths of files that are neither, and belong to none."""

    repeated: tuple[tuple[str, str], ...]
    """(delivery, scene) met again in another form."""

    superseded: tuple[tuple[str, str], ...]
    """(scene, newer scene) of the same moment and place, made again by the provider."""


@dataclass(frozen=True)
class _Stray:
    """A side file of a product of which no image lies beside it."""

    path: Path


def survey(
    folder: Path,
    scratch: Path,
    *,
    allow_missing: bool = False,
    limits: Limits | None = None,
    skip: Path | None = None,
    watch: Callable[[Path], None] | None = None,
    before: Remembered | None = None,
) -> Survey:
    """Look at every delivery below a folder: archives, unpacked products, ENVI cubes, GeoTIFFs with notes.

    Parameters
    ----------
    scratch
        Where archives are unpacked for the look, and removed again.
    allow_missing
        Take products of which an image is missing.
    skip
        A folder that is not looked into.
    watch
        Called with each delivery's path before it is looked at.
    before
        What archives and folders were found to hold before: where no file was touched none is read again.

    Raises
    ------
    DeliveryError
        When there is no such folder, or nothing in it that might be a delivery.
    """
    if not folder.is_dir():
        raise DeliveryError(f"folder {folder}", expected="a folder of deliveries", got="none")
    looking = Looking(
        scratch,
        limits or Limits(),
        allow_missing,
        skip and skip.resolve(),
        watch or (lambda path: None),
        before or Remembered(),
    )
    found = list(_walk(folder, looking))
    looking.before.forget()
    scenes = [one for one in found if isinstance(one, Scene)]
    refused = [one for one in found if isinstance(one, Refused)]
    refused += _without_images([one.path for one in found if isinstance(one, _Stray)], scenes, refused)
    beside = sorted(str(one) for one in found if isinstance(one, Path))
    if not scenes and not refused:
        raise _nothing(folder, beside)
    scenes, repeated, clashing = once(scenes)
    scenes, superseded = newest(scenes)
    refused = sorted([*refused, *clashing], key=lambda one: (one.delivery, one.reason))
    return Survey(
        tuple(sorted(scenes, key=lambda scene: (scene.time, scene.sensor, scene.name))),
        tuple(one for one in refused if one.meant),
        tuple(one for one in refused if not one.meant),
        tuple(beside),
        tuple(sorted(repeated)),
        tuple(sorted(superseded)),
    )


def _nothing(folder: Path, beside: Sequence[str]) -> DeliveryError:
    names = ", ".join(Path(path).name for path in beside[:_SHOWN])
    more = ", …" if len(beside) > _SHOWN else ""
    return DeliveryError(
        f"folder {folder}",
        expected=recognised(),
        got=f"none, but {names}{more}" if beside else "nothing",
        mend="Name the folder that holds the deliveries; they may lie in folders below it.",
    )


def _without_images(
    paths: Sequence[Path], scenes: Sequence[Scene], refused: Sequence[Refused]
) -> list[Refused]:
    """Products of which there are side files only, each once; of those that are told of anyway, none."""
    known = [one.name.lower() for one in scenes]
    places = [*(one.delivery for one in scenes), *(one.delivery for one in refused)]
    known += [part for place in places for part in place.lower().split(os.sep)]
    lost: dict[str, Path] = {}
    for path in paths:
        name = product_name(path.name)
        if name is not None and not any(one.startswith(name.lower()) for one in known):
            lost.setdefault(name.lower(), path)
    words = "expected the images of its product beside it, got none.\nFetch the delivery again."
    return [Refused(str(path), f"file {path}: {words}") for path in lost.values()]


def _walk(folder: Path, looking: Looking) -> Iterator[Scene | Refused | Path | _Stray]:
    """Folder by folder, in the order of names; paths are those of other files."""
    for place, folders, names in os.walk(folder, followlinks=False):
        here = Path(place)
        if here.resolve() == looking.skip:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (_linked(here / name) for name in folders if (here / name).is_symlink())
        files = sorted(here / name for name in names if not name.startswith("."))
        for path in files:
            if archive_stem(path) is not None:
                looking.watch(path)
                yield from _known(path, [path], looking, partial(_archive, path, looking))
        loose = [path for path in files if archive_stem(path) is None]
        all_there = [here / name for name in sorted(names) if archive_stem(here / name) is None]
        seen = _known(here, all_there, looking, partial(look, here, loose, looking))
        yield from seen
        yield from others(loose)
        yield from (_Stray(path) for path in strays(loose))
        found = any(isinstance(one, Scene) or one.meant for one in seen)
        if not found and not folders and here != folder and is_named(here.name):
            yield Refused(str(here), f"{here}: expected the images of a product, got none.")


def _linked(path: Path) -> Refused:
    """A folder elsewhere: links may lead in circles or astray, and are not followed."""
    return Refused(
        str(path),
        f"{path}: expected a folder, got a link to one.\nCopy the delivery here, or name its own folder.",
        is_named(path.name),
    )


def _known(
    place: Path, files: Sequence[Path], looking: Looking, look: Callable[[], Iterable[Scene | Refused]]
) -> list[Scene | Refused]:
    """What is in an archive or a folder, found now or before; where anything is bad nothing is kept.

    Parameters
    ----------
    files
        All that it may hang on; when one is another or was touched, it is looked at again.
    """
    try:
        states = [(path.name, path.stat()) for path in files if path.is_file()]
    except OSError:
        return list(look())
    touched = [(name, its.st_size, its.st_mtime_ns, its.st_ctime_ns) for name, its in states]
    what = ["looked", str(place), touched, looking.limits, looking.allow_missing]
    return looking.before.found(what, list[Scene | Refused], lambda: list(look()), _all_good)


def _all_good(found: Sequence[Scene | Refused]) -> bool:
    return bool(found) and all(isinstance(one, Scene) for one in found)


def _archive(path: Path, looking: Looking) -> Iterator[Scene | Refused]:
    """What is in an archive; one that breaks before it shows that it holds none may hold a delivery."""
    members: list[str] = []
    try:
        total = digest(path)
        with unpacked(path, looking.scratch, looking.limits, members.append) as home:
            found = list(look(home, files_below(home, looking.limits), looking))
            # What is wrong in the archive is told of the archive, not of a folder that is gone.
            found = [
                replace(one, delivery=str(path), reason=one.reason.replace(str(home), str(path)))
                if isinstance(one, Refused)
                else replace(one, delivery=str(path), archive=total)
                for one in found
            ]
    except MemoryError:
        raise
    except Exception as fault:
        said = str(fault) if isinstance(fault, StsfusionError) else unexpected(path, fault)
        unknown = not members and not isinstance(fault, CrowdError)
        yield Refused(str(path), said, unknown or _promising(path, members))
        return
    yield from found
    if not any(isinstance(one, Scene) or one.meant for one in found) and (not found or is_named(path.name)):
        words = f"archive {path}: expected a known product in it, got none."
        yield Refused(str(path), words, _promising(path, members))


def _promising(path: Path, members: Sequence[str]) -> bool:
    """Whether an archive, or any file or folder in it, bears a product's name."""
    return any(is_named(part) for name in (path.name, *members) for part in name.split("/"))
