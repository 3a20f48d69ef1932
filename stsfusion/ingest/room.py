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
        target, path = self.place(scene), Path(scene.delivery)
        if scene.archive and not target.exists():
            check_digest(path, scene.archive)
            unpack(path, target.parent, self.limits)
        return target

    def place(self, scene: Scene) -> Path:
        """Where the files of a scene are, once its archive was unpacked."""
        path = Path(scene.delivery)
        return self.folder / scene.archive[:16] / (archive_stem(path) or path.name) if scene.archive else path

    def clear(self) -> None:
        """Remove what was unpacked."""
        shutil.rmtree(self.folder, ignore_errors=True)
