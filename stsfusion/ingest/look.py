"""Look: what some files are, products and loose images, each tried by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stsfusion.errors import StsfusionError
from stsfusion.ingest.envi import DATA
from stsfusion.ingest.finding import Product, products
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.loose import envi_scene, tiff_scene
from stsfusion.ingest.package import product_scene
from stsfusion.ingest.recognise import IMAGES, is_meant, recognised, unread
from stsfusion.ingest.refusal import Refused
from stsfusion.ingest.remembered import Remembered
from stsfusion.sensing.scene import Scene

__all__ = ["Looking", "look", "unexpected"]

_LONGEST = 160
"""Letters of a fault that nobody has thought of."""


@dataclass(frozen=True)
class Looking:
    """How to look, and where to unpack."""

    scratch: Path
    """Where archives are unpacked."""

    limits: Limits
    """Beyond which nothing is read."""

    allow_missing: bool
    """Whether products of which an image is missing are taken."""

    skip: Path | None
    """A folder that is not looked into."""

    watch: Callable[[Path], None]
    """Called with what is looked at next."""

    before: Remembered = field(default_factory=Remembered)
    """What archives were found to hold before."""


def look(home: Path, files: Sequence[Path], looking: Looking) -> Iterator[Scene | Refused]:
    """Each product and each loose image among some files; whatever is bad holds up no other.

    Parameters
    ----------
    home
        The delivery's folder, or the one that its archive was unpacked into.
    files
        Those that are looked at.
    """
    limits, known = looking.limits, products(files)
    ours = {path for product in known for path in (*product.rasters.values(), *product.doubles)}
    for product in known:
        looking.watch(product.folder / product.name)
        yield _tried(home / product.name, _product, product, home, looking)
    data = set()
    for path in files:
        if path.suffix.lower() == ".hdr":
            looking.watch(path)
            data |= {path.with_suffix(end) for end in DATA}
            yield _loose(path, envi_scene, home, limits)
    for path in files:
        if path.suffix.lower() in IMAGES and path not in ours | data:
            looking.watch(path)
            yield _loose(path, tiff_scene, home, limits)
    yield from (_unread(path) for path in files if unread(path) and path not in data)


def _loose(path: Path, read: Callable[..., Scene], home: Path, limits: Limits) -> Scene | Refused:
    """An image that is of no product by its name."""
    found = _tried(path, read, path, home, limits)
    return replace(found, meant=is_meant(path)) if isinstance(found, Refused) else found


def _unread(path: Path) -> Refused:
    """A file of a kind that is not read."""
    words = f"file {path}: expected {recognised()}, got none of these.\nBring it into one of these forms."
    return Refused(str(path), words, is_meant(path))


def _product(product: Product, home: Path, looking: Looking) -> Scene:
    return product_scene(product, home, allow_missing=looking.allow_missing, limits=looking.limits)


def _tried(path: Path, read: Callable[..., Scene], *given: object) -> Scene | Refused:
    try:
        return read(*given)
    except StsfusionError as fault:
        return Refused(str(path), str(fault))
    except OSError as fault:
        return Refused(str(path), f"{path}: {fault.strerror or fault}")
    except MemoryError:
        raise
    except Exception as fault:
        # One delivery that nobody has thought of holds up no other.
        return Refused(str(path), unexpected(path, fault))


def unexpected(path: Path, fault: Exception) -> str:
    """What is said of a fault that nobody has thought of."""
    said = " ".join(str(fault).split())[:_LONGEST]
    return (
        f"{path}: expected a delivery that can be read, got an unexpected fault: {type(fault).__name__}"
        f"{f' ({said})' if said else ''}.\nTake it away or mend it; the others are not touched by it."
    )
