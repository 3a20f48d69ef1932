"""Raster: one delivered GeoTIFF, opened by GDAL only after its skeleton was found sound.

GDAL is told the driver, may look at no other file, reach no network, and run no code. Whatever it says
against a file comes out as a DeliveryError that names the file.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window as Place

from stsfusion.ingest.files import check_digest, local_file
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.tiff import Skeleton, examine
from stsfusion.window import Interval

__all__ = ["Raster", "guarded", "open_raster", "told"]

_ALONE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GTIFF_VIRTUAL_MEM_IO": "NO",
    "GTIFF_IGNORE_READ_ERRORS": "NO",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_HTTP_MAX_RETRY": "0",
    "GDAL_CACHEMAX": 64,
}
"""GDAL's settings while a stranger's file is open; the cache is in MB."""


@dataclass
class Raster:
    """An open image of whole or floating numbers as delivered."""

    path: Path
    """The file."""

    skeleton: Skeleton
    """Its layout."""

    dataset: Any = field(repr=False)
    """The open rasterio dataset."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""
        return self.skeleton.bands, self.skeleton.height, self.skeleton.width

    @property
    def kind(self) -> str:
        """Numpy's name of the stored numbers."""
        return str(self.dataset.dtypes[0])

    @property
    def crs(self) -> str | None:
        """The reference system that the image itself tells, as well-known text."""
        return None if self.dataset.crs is None else str(self.dataset.crs.to_wkt())

    @property
    def transform(self) -> tuple[float, float, float, float, float, float] | None:
        """Pixel corners to map as the image itself tells; None: it lies on no map."""
        if self.dataset.crs is None or self.dataset.transform.is_identity:
            return None
        a, b, c, d, e, f = tuple(self.dataset.transform)[:6]
        return a, b, c, d, e, f

    @property
    def nodata(self) -> float | None:
        """The stored number that the image calls no data; None: none, or one that it cannot store."""
        said, kind = self.dataset.nodata, np.dtype(self.kind)
        if said is None or kind.kind not in "iu":
            return None if said is None else float(said)
        bounds = np.iinfo(kind)
        whole = np.isfinite(said) and said == int(said) and bounds.min <= said <= bounds.max
        return float(said) if whole else None

    @property
    def scaling(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(band,) scales and offsets that the image says of its numbers; 1 and 0 where it says none."""
        return tuple(map(float, self.dataset.scales)), tuple(map(float, self.dataset.offsets))

    def raw(self, band: int) -> None:
        """GDAL knows how the pixels lie."""
        return

    def read(
        self, rows: Interval | None = None, cols: Interval | None = None, bands: Sequence[int] | None = None
    ) -> NDArray[Any]:
        """(band, y, x) stored numbers.

        Parameters
        ----------
        rows, cols
            First and last (exclusive) pixel; None: all.
        bands
            Positions from 0; None: all.

        Raises
        ------
        DeliveryError
            When a block cannot be unpacked.
        """
        top, bottom = rows or (0, self.skeleton.height)
        left, right = cols or (0, self.skeleton.width)
        place = Place(left, top, right - left, bottom - top)
        with guarded(), told(self.path):
            return np.asarray(
                self.dataset.read(indexes=None if bands is None else [b + 1 for b in bands], window=place)
            )

    def placed(self) -> bool:
        """Whether the image itself says where it lies: a reference system and a geotransform."""
        return self.transform is not None


@contextmanager
def open_raster(
    path: str | Path, *, sha256: str | None = None, limits: Limits | None = None
) -> Iterator[Raster]:
    """Open a delivered GeoTIFF.

    Parameters
    ----------
    sha256
        What was recorded when the delivery was catalogued; the file must still be the same.

    Raises
    ------
    DeliveryError
        For a file that is no sound GeoTIFF, or another than was recorded.
    """
    found = local_file(path)
    check_digest(found, sha256)
    skeleton = examine(found, limits)
    with guarded(), told(found):
        dataset = rasterio.open(found, driver="GTiff")
    try:
        if (dataset.count, dataset.height, dataset.width) != (
            skeleton.bands,
            skeleton.height,
            skeleton.width,
        ):
            raise DeliveryError(
                f"file {found}", expected=f"{skeleton}", got=f"{dataset.count} bands, {dataset.shape}"
            )
        yield Raster(found, skeleton, dataset)
    finally:
        dataset.close()


@contextmanager
def guarded() -> Iterator[None]:
    """GDAL kept to the file that it is given."""
    with rasterio.Env(**_ALONE), warnings.catch_warnings():
        # Raw images have no place on Earth of their own; that is what their RPC is for.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What GDAL says against a file, as a refusal."""
    try:
        yield
    except DeliveryError:
        raise
    except Exception as fault:
        # GDAL's own errors have no public class in common.
        raise DeliveryError(
            f"file {path}",
            expected="a readable GeoTIFF",
            got=str(fault)[:300] or type(fault).__name__,
            mend="Fetch the delivery again, and look at it with gdalinfo.",
        ) from fault
