"""Small deliveries of any size, with the names and the layout of real ones and one known truth on the ground.

The truth is the analytic ground of soil, vegetation and water that the larger test packages show, too. Images
are seen by a camera that moves along a straight line; its rational coefficients are therefore linear.
"""

from __future__ import annotations

import io
import math
import tarfile
import warnings
import zipfile
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from stsfusion.sensing.sensor import load_sensor as read_sensor
from stsfusion.sensing.sunlight import irradiance

load_sensor = cache(read_sensor)
light_of = cache(lambda band: irradiance(band.curve))
LON, LAT = 116.72, 37.50
GROUND = 60.0
BEIJING = timedelta(hours=8)
GAINS = {"MUX": 0.05, "PAN": 0.06}


def ground(lon, lat, season=0.5):
    """(3, …) shares of soil, vegetation and water."""
    e, n = (lon - LON) * 111320 * math.cos(math.radians(37.5)), (lat - LAT) * 111132
    v = (0.15 + 0.8 * season) * (0.5 + 0.5 * np.sin(e / 140) * np.cos(n / 110))
    water = 1 / (1 + np.exp(np.minimum((np.hypot(e - 400, n + 250) - 180) / 12, 50)))
    v = v * (1 - water)
    shares = np.stack([(1 - v) * (1 - water), v, water])
    return shares / shares.sum(axis=0)


def materials(nm):
    """(3, wavelength) reflectance of soil, vegetation and water."""

    def step(a, b):
        return 1 / (1 + np.exp(-(nm - a) / b))

    def bump(c, q, a):
        return a * np.exp(-(((nm - c) / q) ** 2))

    soil = 0.08 + 0.28 * (1 - np.exp(-(nm - 400) / 700))
    soil = soil - bump(2205, 25, 0.03) - bump(1415, 30, 0.04) - bump(1915, 40, 0.06)
    green = 0.42 * step(715, 15) * (1 - 0.35 * step(1350, 60) - 0.25 * step(1850, 60))
    veg = (
        0.04 + bump(550, 35, 0.06) + green - bump(1450, 60, 0.10) - bump(1940, 70, 0.10) - bump(970, 30, 0.03)
    )
    return np.clip(np.stack([soil, veg, 0.06 * np.exp(-(nm - 400) / 180)]), 0.002, 0.95)


def spectra(bands):
    """(3, band) what the bands see of each material: AHSI at its centres, others through their response."""
    columns = []
    for band in bands:
        if band.name[:2] in ("VN", "SW"):
            columns.append(materials(np.array([band.wavelength]))[:, 0])
            continue
        nm = np.arange(band.low, band.high + 0.5)
        weight = band.curve.at(nm)
        columns.append((materials(nm) * weight).sum(axis=1) / weight.sum())
    return np.stack(columns, axis=1)


def sun(utc, lon, lat):
    """(zenith, azimuth) degrees and distance in astronomical units, after Spencer (1971)."""
    day = utc.timetuple().tm_yday - 1 + (utc.hour + utc.minute / 60 + utc.second / 3600) / 24
    g = 2 * math.pi * day / 365.25
    tilt = (
        0.006918 - 0.399912 * math.cos(g) + 0.070257 * math.sin(g) - 0.006758 * math.cos(2 * g)
        + 0.000907 * math.sin(2 * g) - 0.002697 * math.cos(3 * g) + 0.00148 * math.sin(3 * g)
    )  # fmt: skip
    late = 229.18 * (
        0.000075 + 0.001868 * math.cos(g) - 0.032077 * math.sin(g)
        - 0.014615 * math.cos(2 * g) - 0.04089 * math.sin(2 * g)
    )  # fmt: skip
    minutes = utc.hour * 60 + utc.minute + utc.second / 60 + late + 4 * lon
    hour, phi = math.radians(minutes / 4 - 180), math.radians(lat)
    up = math.sin(phi) * math.sin(tilt) + math.cos(phi) * math.cos(tilt) * math.cos(hour)
    azimuth = math.atan2(math.sin(hour), math.cos(hour) * math.sin(phi) - math.tan(tilt) * math.cos(phi))
    near = 1.00011 + 0.034221 * math.cos(g) + 0.00128 * math.sin(g) + 0.000719 * math.cos(2 * g)
    return math.degrees(math.acos(up)), (math.degrees(azimuth) + 180) % 360, 1 / math.sqrt(near)


@dataclass(frozen=True)
class Camera:
    """Where each pixel of a raw image looks."""

    lines: int
    samples: int
    pixel: float
    lon: float = LON
    lat: float = LAT
    turned: float = 13.0
    """Degrees by which the rows are turned against east."""
    roll: float = 2.0
    shift: float = 0.0
    """Samples by which the image is moved."""

    @property
    def metres(self):
        return 111320 * math.cos(math.radians(self.lat)), 111132

    def ground(self, sample, line, height=GROUND):
        """Longitude and latitude; pixel centres are whole numbers."""
        along = (sample - self.shift - self.samples / 2) * self.pixel
        along = along - (height - GROUND) * math.tan(math.radians(self.roll))
        down = (line - self.lines / 2) * self.pixel
        turn = math.radians(self.turned)
        e = along * math.cos(turn) - down * math.sin(turn)
        n = -along * math.sin(turn) - down * math.cos(turn)
        kx, ky = self.metres
        return self.lon + e / kx, self.lat + n / ky

    def corners(self):
        edges = ((0, 0), (self.samples - 1, 0), (self.samples - 1, self.lines - 1), (0, self.lines - 1))
        return [self.ground(s, r) for s, r in edges]

    def rpb(self, end="\nEND;\n"):
        """The same as text of rational coefficients."""
        kx, ky = self.metres
        turn = math.radians(self.turned)
        half = np.array([self.lines / 2, self.samples / 2])
        scale = {"lat": 0.02, "long": 0.02, "height": 500.0}
        e, n = scale["long"] * kx / self.pixel, scale["lat"] * ky / self.pixel
        rise = scale["height"] * math.tan(math.radians(self.roll)) / self.pixel
        sample = np.zeros(20)
        sample[1], sample[2], sample[3] = e * math.cos(turn), -n * math.sin(turn), rise
        line = np.zeros(20)
        line[1], line[2] = -e * math.sin(turn), -n * math.cos(turn)
        one = np.zeros(20)
        one[0] = 1
        rows = [
            'satId = "XX";\nbandId = "X";\nSpecId = "RPC00B";\nBEGIN_GROUP = IMAGE\n'
            "\terrBias = 1.0;\n\terrRand = 0.0;\n"
            f"\tlineOffset = {half[0]:.10f};\n\tsampOffset = {half[1] + self.shift:.10f};\n"
            f"\tlatOffset = {self.lat:.10f};\n\tlongOffset = {self.lon:.10f};\n\theightOffset = {GROUND};\n"
            f"\tlineScale = {half[0]:.10f};\n\tsampScale = {half[1]:.10f};\n"
            f"\tlatScale = {scale['lat']};\n\tlongScale = {scale['long']};\n"
            f"\theightScale = {scale['height']};\n"
        ]
        named = (
            ("lineNum", line / half[0]),
            ("lineDen", one),
            ("sampNum", sample / half[1]),
            ("sampDen", one),
        )
        for name, values in named:
            listed = ",\n".join(f"\t\t\t{value:+.15E}" for value in values)
            rows.append(f"\t{name}Coef = (\n{listed});\n")
        return "".join(rows) + "END_GROUP = IMAGE" + end


@dataclass(frozen=True)
class Order:
    """What to deliver; the folder or archive is made by `deliver`."""

    kind: str = "ahsi"
    lines: int = 24
    samples: int = 20
    utc: datetime = datetime(2021, 12, 13, 2, 58, 31)
    lon: float = LON
    lat: float = LAT
    platform: str = "ZY1E"
    number: int = 389921
    suffix: str = ".tif"
    season: float = 0.5
    separator: str = ","
    produced: str = "2021-12-14 02:11:09"
    xml: dict = field(default_factory=dict)
    """Fields of the XML said otherwise; None leaves one out."""
    seed: int = 0

    @property
    def name(self):
        digits = 2 if self.kind == "ahsi" else 1
        place = (
            f"{'E' if self.lon >= 0 else 'W'}{abs(self.lon):.{digits}f}"
            f"_{'N' if self.lat >= 0 else 'S'}{abs(self.lat):.{digits}f}_{self.local:%Y%m%d}"
        )
        if self.kind == "ahsi":
            return f"{self.platform}_AHSI_{place}_011812_L1A{self.number:010d}"
        if self.kind == "vnic":
            return f"{self.platform}_VNIC_{place}_L1B{self.number:010d}"
        return f"GF6_WFV_{place}_L1A{self.number:010d}"

    @property
    def local(self):
        return self.utc + BEIJING

    def but(self, **changes):
        return replace(self, **changes)


WFV = Order("wfv", 30, 25, datetime(2021, 12, 16, 3, 4, 29), number=1120152345, platform="GF6", season=0.52)
VNIC = Order("vnic", 36, 30, number=389930)
AHSI = Order()


def deliver(order, folder):
    """Write the delivery as a folder below `folder`."""
    home = folder / order.name
    home.mkdir(parents=True)
    {"ahsi": _ahsi, "vnic": _vnic, "wfv": _wfv}[order.kind](order, home)
    return home


def pack(home, kind="tar.gz", nested=True, folder=None):
    """The folder as an archive beside it, its files inside one folder or flat."""
    path = (folder or home.parent) / f"{home.name}.{kind}"
    path.parent.mkdir(parents=True, exist_ok=True)
    files = sorted(file for file in home.rglob("*") if file.is_file())
    names = [str(file.relative_to(home.parent if nested else home)) for file in files]
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, name in zip(files, names, strict=True):
                archive.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)
        return path
    mode = {"tar": "w", "tar.gz": "w:gz", "tgz": "w:gz", "tar.xz": "w:xz"}[kind]
    with tarfile.open(path, mode) as archive:
        for file, name in zip(files, names, strict=True):
            info = tarfile.TarInfo(name)
            info.size = file.stat().st_size
            archive.addfile(info, io.BytesIO(file.read_bytes()))
    return path


def write_tiff(path, counts, **profile):
    """(band, y, x) uint16 counts as raw products have them: no place on Earth."""
    bands, rows, cols = counts.shape
    given = {
        "driver": "GTiff",
        "count": bands,
        "height": rows,
        "width": cols,
        "dtype": counts.dtype,
        **profile,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **{"interleave": "band", **given}) as file:
            file.write(counts)


def rename(home, old, new):
    """Name every file of a delivery anew."""
    for path in sorted(home.rglob("*")):
        if old in path.name:
            path.rename(path.with_name(path.name.replace(old, new)))


def edit(home, end, change):
    """Give the one file whose name ends so other bytes."""
    (path,) = [path for path in home.rglob("*") if path.name.endswith(end)]
    path.write_bytes(change(path.read_bytes()))


def lose(home, *ends):
    """Take away what ends so."""
    for path in [path for path in home.iterdir() if path.name.endswith(ends)]:
        path.unlink()


def _counts(order, camera, bands, gains):
    """(band, y, x) what the camera counts; the first column is fill."""
    rows, cols = np.mgrid[: camera.lines, : camera.samples].astype(float)
    shares = ground(*camera.ground(cols, rows), order.season)
    rho = np.einsum("kb,kyx->byx", spectra(bands), shares)
    zenith, _, distance = sun(order.utc, order.lon, order.lat)
    light = np.array([light_of(band) for band in bands]) * math.cos(math.radians(zenith))
    radiance = rho * (light / (math.pi * distance**2))[:, None, None]
    counts = np.clip(np.rint(radiance / np.asarray(gains)[:, None, None]), 0, 4095).astype(np.uint16)
    counts[:, :, 0] = 0
    return counts


def _fields(order, camera, level):
    zenith, azimuth, _ = sun(order.utc, order.lon, order.lat)
    fields = {
        "SatelliteID": order.platform,
        "ProductID": order.number,
        level[0]: level[1],
        "ProduceTime": order.produced,
        "StartTime": f"{order.local:%Y-%m-%d %H:%M:%S}",
        "EndTime": f"{order.local + timedelta(seconds=9):%Y-%m-%d %H:%M:%S}",
        "CloudPercent": 3,
        "SolarAzimuth": f"{azimuth:.2f}",
        "SolarZenith": f"{zenith:.2f}",
        "SatelliteAzimuth": 101.2,
        "SatelliteZenith": 2.3,
    }
    names = ("TopLeft", "TopRight", "BottomRight", "BottomLeft")
    for name, (lon, lat) in zip(names, camera.corners(), strict=True):
        fields |= {f"{name}Latitude": f"{lat:.6f}", f"{name}Longitude": f"{(lon + 180) % 360 - 180:.6f}"}
    return fields | {"CenterLatitude": order.lat, "CenterLongitude": order.lon}


def write_xml(path, fields):
    rows = "".join(f"  <{name}>{value}</{name}>\n" for name, value in fields.items() if value is not None)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    path.write_text(f"{head}<ProductMetaData>\n{rows}</ProductMetaData>\n", encoding="utf-8")


def _ahsi(order, home):
    sensor = load_sensor("zy1-02d-ahsi")
    for raster, word, pixel_shift in (("VN", "VNIR", 0.0), ("SW", "SWIR", 1.3)):
        bands = [band for band in sensor.bands if band.name.startswith(raster)]
        camera = Camera(order.lines, order.samples, 30, order.lon, order.lat, shift=pixel_shift)
        gains = (
            np.linspace(0.12, 0.02, len(bands)) if raster == "VN" else np.linspace(0.05, 0.003, len(bands))
        )
        write_tiff(home / f"{order.name}_{raster}{order.suffix}", _counts(order, camera, bands, gains))
        (home / f"{order.name}_{raster}.rpb").write_text(camera.rpb())
        comma = order.separator
        lines = "".join(f"{gain:.9f}{comma}0.000000\r\n" for gain in gains)
        (home / f"ZY1E_AHSI_RadCal_{word}.raw").write_bytes(lines.encode())
        lines = "".join(f"{band.wavelength}{comma}{band.fwhm}\r\n" for band in bands)
        (home / f"ZY1E_AHSI_Spectralresponse_{word}.raw").write_bytes(lines.encode())
    camera = Camera(order.lines, order.samples, 30, order.lon, order.lat)
    fields = _fields(order, camera, ("Level", "LEVEL1A"))
    fields |= {"SensorID": "AHSI", "POrbitID": 11812, "SceneID": 11812001, "ImageGSD": 30}
    fields |= {"LinesInPixels": order.lines, "SamplesInPixels": order.samples}
    write_xml(home / f"{order.name}.xml", fields | order.xml)
    (home / f"{order.name}_Check.xml").write_text('<?xml version="1.0"?><Check/>')
    (home / f"{order.name}.jpg").write_bytes(b"\xff\xd8\xff\xd9")


def _vnic(order, home):
    for raster, times, sensor in (("MUX", 1, "zy1-02d-vnic"), ("PAN", 4, "zy1-02d-pan")):
        bands = load_sensor(sensor).bands
        camera = Camera(order.lines * times, order.samples * times, 10 / times, order.lon, order.lat)
        counts = _counts(order, camera, bands, [GAINS[raster]] * len(bands))
        write_tiff(home / f"{order.name}-{raster}.tiff", counts)
        (home / f"{order.name}-{raster}.rpb").write_text(camera.rpb())
        fields = _fields(order, camera, ("Level", "LEVEL1B"))
        fields |= {"SensorID": "VNIC", "POrbitID": 11812, "ImageGSDLine": 10 / times}
        fields |= {"LinesInPixels": camera.lines, "SamplesInPixels": camera.samples}
        write_xml(home / f"{order.name}-{raster}.xml", fields | order.xml)
        (home / f"{order.name}-{raster}.jpg").write_bytes(b"\xff\xd8\xff\xd9")


def _wfv(order, home):
    sensor = load_sensor("gf6-wfv")
    year = max(year for year in sensor.package.published.years if int(year) <= order.local.year)
    gains = sensor.package.published.years[year]
    for strip in (1, 2, 3):
        east = (strip - 2) * 0.6 * order.samples * 16 / (111320 * math.cos(math.radians(order.lat)))
        camera = Camera(
            order.lines, order.samples, 16, order.lon + east, order.lat, turned=0, roll=5 * (strip - 2)
        )
        write_tiff(home / f"{order.name}-{strip}.tiff", _counts(order, camera, sensor.bands, gains))
        (home / f"{order.name}-{strip}.rpb").write_text(camera.rpb())
        (home / f"{order.name}-{strip}.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    middle = Camera(order.lines, int(order.samples * 2.2), 16, order.lon, order.lat, turned=0)
    fields = _fields(order, middle, ("ProductLevel", "LEVEL1A"))
    for part in ("Latitude", "Longitude"):
        del fields[f"Center{part}"]
    fields |= {
        "SensorID": "WFV",
        "OrbitID": 19345,
        "SceneID": 8123456,
        "ImageGSD": 16,
        "Bands": "1,2,3,4,5,6,7,8",
    }
    fields |= {"CenterTime": f"{order.local:%Y-%m-%d %H:%M:%S}.0", "ValidPixelBits": 12}
    fields |= {"WidthInPixels": order.samples, "HeightInPixels": order.lines}
    write_xml(home / f"{order.name}.xml", fields | order.xml)
