"""Recognise: whether what lies in a folder is meant as a delivery, told by names alone.

::

    GF6_WFV_E115.9_N30.1_…0632302.rar   bears a product's name: if it cannot be read, a delivery is bad
    terrain.tif, photos.zip, a.nc       of a kind that deliveries are of, but of no known name: told, and left
    README.txt, desktop.ini             of no such kind: left
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stsfusion.ingest.archive import SUFFIXES, archive_stem
from stsfusion.ingest.finding import known_product, known_sensor, products
from stsfusion.sensing.sensor import sensor_names

__all__ = ["IMAGES", "is_meant", "is_named", "others", "product_name", "recognised", "strays", "unread"]

IMAGES = (".tif", ".tiff", ".geotiff")
"""Names of images that are read as they are, in small letters."""

_RAW = (".dat", ".img", ".bsq", ".bil", ".bip")
"""Names of images that take a header."""

_UNFINISHED = (
    *(".crdownload", ".part", ".partial", ".filepart"),
    *(".download", ".opdownload", ".aria2", ".tmp"),
)
"""Names of downloads that have not ended."""

_UNREAD = (
    *(".rar", ".7z", ".gz", ".bz2", ".xz", ".zst", ".z", ".tbz2", ".txz", ".iso"),
    *(".nc", ".h5", ".hdf", ".hdf5", ".he5", ".jp2", ".pix", *_RAW),
    *_UNFINISHED,
)
"""Names of archives, images and unfinished downloads that are not read."""

_PLAIN = (".dat", *_UNFINISHED)
"""Of `_UNREAD`, what more often is something else."""

_SIDE = (".xml", ".rpb")
"""Names of files that an image of a product cannot do without."""

_NAME = re.compile(r"[A-Za-z0-9_.\-]*")
_SUFFIXES = re.compile(r"(\.(7z|[a-z][a-z0-9]*))+$", re.IGNORECASE)


def is_named(name: str) -> bool:
    """Whether the name of a file or folder begins with that of a product."""
    return product_name(name) is not None


def product_name(name: str) -> str | None:
    """The name of a product that that of a file or folder begins with; None where it begins otherwise."""
    found = _NAME.match(name)
    parts = re.split(r"(?=[-_])", _SUFFIXES.sub("", found.group() if found else ""))
    begins = ("".join(parts[:end]) for end in range(1, len(parts) + 1))
    return next((begin for begin in begins if known_product(begin) is not None), None)


def strays(files: Sequence[Path]) -> list[Path]:
    """Side files of one folder, by name those of products of which no image lies beside them."""
    here = {product.name.lower() for product in products(files)}
    named = [(path, product_name(path.name)) for path in files if path.suffix.lower() in _SIDE]
    return [path for path, name in named if name is not None and name.lower() not in here]


def is_meant(path: Path) -> bool:
    """Whether an image is meant as a delivery: by its name, or because there is a note beside it."""
    stem = path.with_suffix("").name
    return is_named(path.name) or any(path.with_name(f"{stem}{end}").is_file() for end in (".yaml", ".json"))


def unread(path: Path) -> bool:
    """Whether a file is an archive or an image of a kind that is not read, by its name."""
    low = path.name.lower()
    return low.endswith(_UNREAD) and (not low.endswith(_PLAIN) or is_named(path.name))


def others(files: Sequence[Path]) -> list[Path]:
    """Files of one folder that belong to no product and to no image, and are neither archive nor image."""
    images = [path for path in files if path.suffix.lower() in (*IMAGES, ".hdr")]
    stems = {path.with_suffix("").name.lower() for path in images}
    begins = (*(f"{stem}." for stem in stems), *(product.name.lower() for product in products(files)))
    return [
        path
        for path in files
        if path not in images
        and archive_stem(path) is None
        and not unread(path)
        and path.name.lower() not in stems
        and not path.name.lower().startswith(begins)
        and not _beside(path.name)
    ]


def _beside(name: str) -> bool:
    """Whether a file is one of those that go with images of a product, by its name."""
    packages = [package for name in sensor_names() if (package := known_sensor(name).package)]
    columns = [pattern for one in packages for pattern in (*one.gains.values(), *one.wavelengths.values())]
    return is_named(name) or any(
        re.search(pattern, name, re.IGNORECASE) for pattern in (*columns, *(one.metadata for one in packages))
    )


def recognised() -> str:
    """What deliveries are, in words: forms and names."""
    packages = [package for name in sensor_names() if (package := known_sensor(name).package)]
    names = ", ".join(dict.fromkeys(one.example for one in packages if one.example))
    return (
        f"archives ({', '.join(SUFFIXES)}) or unpacked folders of products that are called like {names}; or "
        f"ENVI cubes (.hdr) and GeoTIFFs with a note beside them"
    )
