"""What STAC's extensions ask of an item, restated as JSON schemas that need no network.

Written from the extensions' own definitions (stac-extensions.github.io): which fields there are, what they
may hold, that no other field may bear their prefix, and that an item which names an extension uses it.
"""

from __future__ import annotations

ANGLE = {"type": "number", "minimum": 0, "maximum": 360}
TILT = {"type": "number", "minimum": 0, "maximum": 90}
COVER = {"type": "number", "minimum": 0, "maximum": 100}
LENGTH = {"type": "number", "exclusiveMinimum": 0}
NUMBER, TEXT, WHOLE = {"type": "number"}, {"type": "string"}, {"type": "integer", "minimum": 0}
COMMON = """pan coastal blue green green05 yellow red rededge rededge071 rededge075 rededge078 nir nir08 nir09
cirrus swir16 swir22 lwir lwir11 lwir12"""


def numbers(*counts):
    return {
        "type": "array",
        "items": {"type": "number"},
        "oneOf": [{"minItems": count, "maxItems": count} for count in counts],
    }


FIELDS = {
    "eo": {
        "eo:cloud_cover": COVER,
        "eo:snow_cover": COVER,
        "eo:common_name": {"enum": COMMON.split()},
        "eo:center_wavelength": LENGTH,
        "eo:full_width_half_max": LENGTH,
        "eo:solar_illumination": {"type": "number", "minimum": 0},
    },
    "view": {
        "view:off_nadir": TILT,
        "view:incidence_angle": TILT,
        "view:azimuth": ANGLE,
        "view:sun_azimuth": ANGLE,
        "view:sun_elevation": {"type": "number", "minimum": -90, "maximum": 90},
    },
    "projection": {
        "proj:code": {"type": ["string", "null"], "pattern": "^[A-Z]+:[0-9A-Za-z_.-]+$"},
        "proj:wkt2": {"type": ["string", "null"]},
        "proj:projjson": {"type": ["object", "null"]},
        "proj:geometry": {"type": "object"},
        "proj:bbox": numbers(4, 6),
        "proj:centroid": {"type": "object", "required": ["lat", "lon"]},
        "proj:shape": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "integer"}},
        "proj:transform": numbers(6, 9),
    },
    "processing": {
        "processing:expression": {"type": "object", "required": ["format", "expression"]},
        "processing:lineage": TEXT,
        "processing:level": TEXT,
        "processing:facility": TEXT,
        "processing:version": TEXT,
        "processing:datetime": TEXT,
        "processing:software": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "raster": {
        "raster:sampling": {"enum": ["area", "point"]},
        "raster:bits_per_sample": WHOLE,
        "raster:spatial_resolution": NUMBER,
        "raster:scale": NUMBER,
        "raster:offset": NUMBER,
        "raster:histogram": {"type": "object"},
    },
    "file": {
        "file:byte_order": {"enum": ["big-endian", "little-endian"]},
        "file:checksum": {"type": "string", "pattern": "^[a-f0-9]+$"},
        "file:header_size": WHOLE,
        "file:size": WHOLE,
        "file:values": {"type": "array", "minItems": 1},
        "file:local_path": TEXT,
    },
}
"""By the extension's name in its address."""

VERSIONS = {
    "eo": "v2.0.0", "view": "v1.0.0", "projection": "v2.0.0", "processing": "v1.2.0",
    "raster": "v2.0.0", "file": "v2.1.0",
}  # fmt: skip


def address(name):
    return f"https://stac-extensions.github.io/{name}/{VERSIONS[name]}/schema.json"


def schema(name):
    """Of an item that names the extension."""
    fields = FIELDS[name]
    prefix = next(iter(fields)).partition(":")[0]
    one = {
        "type": "object",
        "properties": fields,
        "patternProperties": {f"^(?!{prefix}:)": {}},
        "additionalProperties": False,
    }
    held = {"allOf": [one, {"properties": {"bands": {"type": "array", "items": one}}}]}
    some = {"anyOf": [{"required": [field]} for field in fields]}
    banded = {"required": ["bands"], "properties": {"bands": {"type": "array", "contains": some}}}
    used = {"anyOf": [some, banded]}
    lone = {"not": {"additionalProperties": {"not": used}}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["type", "properties", "assets", "stac_extensions"],
        "properties": {
            "type": {"const": "Feature"},
            "stac_extensions": {"type": "array", "contains": {"const": address(name)}},
            "properties": held,
            "assets": {"type": "object", "additionalProperties": held},
        },
        "anyOf": [{"properties": {"properties": used}}, {"properties": {"assets": lone}}],
    }
