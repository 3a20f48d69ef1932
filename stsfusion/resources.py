"""Where catalogs/ and pipelines/ are: beside the recipe, in the working folder, or installed.

The installed ones are reached through links inside the package, which a wheel holds as ordinary files; an
editable install and a wheel are thus one case.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["Shelf", "find", "folders", "installed"]

Shelf = Literal["catalogs", "pipelines"]
"""A top-level folder of data."""


def installed(shelf: Shelf) -> Path:
    """The folder that came with the package."""
    return Path(__file__).parent / f"_{shelf}"


def folders(shelf: Shelf, near: Path | None = None) -> list[Path]:
    """The folders that exist, in the order in which they are searched.

    Parameters
    ----------
    near
        A recipe's folder, or another that comes first.
    """
    wanted = [*([near / shelf] if near else []), Path.cwd() / shelf, installed(shelf)]
    found = [folder for folder in wanted if folder.is_dir()]
    return list({folder.resolve(): folder for folder in reversed(found)}.values())[::-1]


def find(shelf: Shelf, inner: str, near: Path | None = None) -> Path | None:
    """The first file or folder of this name, or None.

    Parameters
    ----------
    inner
        A path inside the shelf, as 'sensors/gf6-wfv.yaml'; it cannot lead out of it.
    near
        A recipe's folder, searched first.
    """
    if Path(inner).is_absolute() or ".." in Path(inner).parts:
        return None
    return next((path for folder in folders(shelf, near) if (path := folder / inner).exists()), None)
