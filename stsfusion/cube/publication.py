"""Publication: a reader sees the old series, then the whole new one, never half.

Zarr's metadata documents decide what a reader sees; the shards themselves may lie there long before::

    fused.zarr/
      zarr.json        published: the group with the documents of all its arrays ("consolidated")
      .staged.json     what the next publication will show; there only while it is being written
      .checksums.json  what every published file was, see `manifest`
      reflectance/     zarr.json (written by the publication) and c/…: shards

Swapping `zarr.json` by rename is the one moment of truth. Every step can be done again after a kill.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stsfusion.cube.disk import draft_of, flush, replace
from stsfusion.cube.listing import Listing, children, composed, parsed
from stsfusion.cube.manifest import FILE, Manifest, files_of, settled
from stsfusion.errors import StoreError

__all__ = ["Publication"]

_ROOT, _STAGED = "zarr.json", ".staged.json"

_MEND = {
    _ROOT: "Restore zarr.json from a copy; 'stsfusion verify' says whether the rest is whole.",
    _STAGED: "Run its recipe again, which lets go of it: what it told of was never published.",
}


@dataclass(frozen=True)
class Publication:
    """The metadata of a store on disk, published and staged."""

    path: Path
    """The store's folder."""

    def published(self) -> dict[str, Listing]:
        """What every reader sees, by dataset; empty before the first publication."""
        return parsed(_load(self.path / _ROOT))

    def staged(self) -> dict[str, Listing]:
        """What the next publication will show: staged datasets beside the published ones.

        Raises
        ------
        StoreError
            When nothing is staged.
        """
        document = _load(self.path / _STAGED)
        if document is None:
            raise StoreError(
                f"store {self.path}",
                expected="a dataset being written",
                got="none",
                mend="Call create() or extend() first.",
            )
        return parsed(document)

    def upcoming(self) -> dict[str, Listing]:
        """What readers will see next: what is staged, or, where nothing readable is, what is published."""
        return self.staged() if self.pending and not self.lost else self.published()

    @property
    def pending(self) -> bool:
        """Whether something is staged and not yet published."""
        return (self.path / _STAGED).is_file()

    @property
    def untouched(self) -> bool:
        """Whether there is no folder, or nothing in it but what a first staging left that was cut off."""
        if not self.path.is_dir():
            return not self.path.exists()
        return {path.name for path in self.path.iterdir()} <= {draft_of(self.path / _STAGED).name}

    @property
    def lost(self) -> bool:
        """Whether what is staged cannot be read any more: nobody knows what it was, none has seen it."""
        try:
            return self.pending and not all(listing.shape for listing in self.staged().values())
        except (StoreError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            return True

    @property
    def cut_off(self) -> bool:
        """Whether a publication died after its moment of truth."""
        return self.pending and not self.lost and self.staged() == self.published() != {}

    def stage(self, listings: Mapping[str, Listing]) -> None:
        """Say what the next publication will show; readers see nothing of it."""
        self.path.mkdir(parents=True, exist_ok=True)
        _replace(self.path / _STAGED, composed(listings))

    def swap(self) -> None:
        """Show what is staged: everything is on disk before the root document is renamed into its place."""
        new, old = self.staged(), self.published()
        for name in new:
            if new[name] != old.get(name):
                self._settle(name, old.get(name))
        fresh = [(path, doc) for path, doc in children(new) if not (self.path / path / _ROOT).exists()]
        known = [(path, doc) for path, doc in children(new) if (self.path / path / _ROOT).exists()]
        for path, document in fresh:
            _replace(self.path / path / _ROOT, document)
        _replace(self.path / _ROOT, composed(new))
        for path, document in known:
            _replace(self.path / path / _ROOT, document)
        # Of a publication that was cut off here, `old` shows the new dates; what they were is not noted yet.
        noted = self._noted()
        self._note(new, settled(noted, new, old) if old else noted)
        self._sweep()
        (self.path / _STAGED).unlink()

    def recover(self) -> None:
        """Finish a publication that was killed after its moment of truth."""
        if self.cut_off:
            self.swap()

    def discard(self) -> None:
        """Forget what is staged and delete its shards; what is published stays.

        Raises
        ------
        StoreError
            When nothing is published, and what is staged cannot be read.
        """
        self.recover()
        self._sweep()
        if not self.pending:
            return
        old = self.published()
        if self.lost:
            self._forget(old)
            return
        new = self.staged()
        for name in new:
            if name not in old:
                self.clear(name)
            elif new[name] != old[name]:
                self._shorten(name, old[name])
        (self.path / _STAGED).unlink()
        if not old and not any(self.path.iterdir()):
            self.path.rmdir()

    def _sweep(self) -> None:
        """Take away documents and coordinates that were being written when somebody died."""
        documents = (f"{depth}{draft_of(Path('*.json'))}" for depth in ("", "*/", "*/*/"))
        coordinates = (f"{depth}c/{draft_of(Path('*'))}" for depth in ("*/", "*/*/"))
        for pattern in (*documents, *coordinates):
            for draft in self.path.glob(pattern):
                draft.unlink()

    def _forget(self, shown: Mapping[str, Listing]) -> None:
        """Let go of what is staged and unreadable; of a publication that it cut off the rest is done."""
        if not shown:
            raise StoreError(
                f"store {self.path}",
                expected="a dataset being written",
                got=f"a {_STAGED} that is damaged",
                mend="Nothing in it was ever published: remove that folder, and run the same again.",
            )
        for name, listing in shown.items():
            self._shorten(name, listing)
        for path, document in children(shown):
            _replace(self.path / path / _ROOT, document)
        noted = self._noted()
        if not noted >= set(files_of(self.path, shown)):
            self._note(shown, settled(noted, shown, shown))
        (self.path / _STAGED).unlink()

    def withdraw(self, name: str) -> None:
        """Take a published dataset away: from sight first, then from disk."""
        published = self.published()
        published.pop(name)
        self.stage({key: value for key, value in self.upcoming().items() if key != name})
        if published:
            _replace(self.path / _ROOT, composed(published))
        else:
            (self.path / _ROOT).unlink()
        self._note(published, settled(self._noted(), published, published))
        self.clear(name)

    def note(self, marks: Manifest) -> None:
        """Write down, before the first publication, what files were that come from another store."""
        _replace(self.path / FILE, marks.document)

    def _noted(self) -> set[str]:
        """Files of which it is written down what they were."""
        return set((Manifest.read(self.path) or Manifest()).marks)

    def _note(self, listings: Mapping[str, Listing], settled: Collection[str]) -> None:
        """Write down what every published file is now; what cannot have changed is not read again."""
        if not listings:
            (self.path / FILE).unlink(missing_ok=True)
            return
        marks = Manifest.read(self.path) or Manifest()
        renewed = marks.renewed(self.path, files_of(self.path, listings), settled)
        _replace(self.path / FILE, renewed.document)

    def _settle(self, name: str, old: Listing | None) -> None:
        """Bring a dataset's shards to the disk and sweep what a killed writer left.

        Those of dates that were published before are on the disk, and no writer goes near them.
        """
        folder = self.path / name
        shown = {} if old is None else {folder / array / "c": old.dates for array in old.dated}
        for root, folders, files in os.walk(folder):
            place = Path(root)
            folders[:] = [each for each in folders if not _is_before(each, shown.get(place, 0))]
            for file in files:
                if file.endswith(".partial"):
                    os.unlink(place / file)
                else:
                    flush(place / file)
            flush(place)

    def clear(self, name: str) -> None:
        """Delete every file of a dataset; the metadata of the store is not touched."""
        for folder in [self.path / name] if name else self._own_folders():
            shutil.rmtree(folder, ignore_errors=True)

    def _own_folders(self) -> list[Path]:
        """Folders of the root dataset: those that no other dataset owns."""
        if not self.path.is_dir():
            return []
        others = {*self.published(), *self.upcoming()}
        return [path for path in self.path.iterdir() if path.is_dir() and path.name not in others]

    def _shorten(self, name: str, listing: Listing) -> None:
        """Delete the shards of dates that were never published."""
        for array in listing.dated:
            for date in (self.path / name / array / "c").glob("*"):
                if date.name.isdecimal() and not _is_before(date.name, listing.dates):
                    shutil.rmtree(date)


def _is_before(folder: str, dates: int) -> bool:
    """Whether a folder is that of one of the first so many dates."""
    return folder.isdecimal() and int(folder) < dates


def _load(path: Path) -> Mapping[str, Any] | None:
    try:
        document: Mapping[str, Any] = json.loads(path.read_bytes())
        document["consolidated_metadata"]["metadata"]
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StoreError(
            f"store {path.parent}",
            expected="a store written by stsfusion",
            got=f"a {path.name} that is damaged",
            mend=_MEND[path.name],
        ) from error
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"store {path.parent}",
            expected="a store written by stsfusion",
            got=f"a {path.name} without the documents of its arrays",
            mend="Read a foreign Zarr with open_cube() instead.",
        ) from error
    return document


def _replace(path: Path, document: Mapping[str, Any]) -> None:
    """Let a document take its place, whole, and on the disk."""
    replace(path, json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode())
