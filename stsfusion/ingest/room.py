"""Room: where the files of deliveries lie while cubes are made; archives are unpacked there, each once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from stsfusion.ingest.archive import archive_stem, unpack
from stsfusion.ingest.files import check_digest
from stsfusion.ingest.limits import Limits
from stsfusion.sensing.scene import Scene

__all__ = ["Room"]


@dataclass(frozen=True)
class Room:
    """A folder for what is unpacked."""

    folder: Path
    """Made when the first archive is."""

    limits: Limits | None = None
    """Of deliveries."""

    def home(self, scene: Scene) -> Path:
        """The folder of a scene's files; an archive must be the one that was catalogued.

        What was unpacked before is there as a whole, and stays; its files are checked when they are opened.

        Raises
        ------
        DeliveryError
            When the archive has changed, or is not sound.
        """
        if not scene.archive:
            return Path(scene.delivery)
        path = Path(scene.delivery)
        place = self.folder / scene.archive[:16]
        target = place / (archive_stem(path) or path.name)
        if not target.exists():
            check_digest(path, scene.archive)
            unpack(path, place, self.limits)
        return target

    def clear(self) -> None:
        """Remove what was unpacked."""
        shutil.rmtree(self.folder, ignore_errors=True)
