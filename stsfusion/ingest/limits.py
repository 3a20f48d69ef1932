"""Limits: how large an honest delivery can be; what claims to be larger is turned away before it is read."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds on untrusted files; the largest real delivery stays far below each."""

    members: int = 64
    """Files and folders in one delivery."""

    total: int = 20 * 2**30
    """Bytes of one delivery when it is unpacked."""

    growth: float = 30.0
    """Unpacked bytes for each byte of the archive; real imagery packs two- to fourfold."""

    spare: int = 2**20
    """Unpacked bytes, and bytes of an image, that are granted whatever the growth."""

    name: int = 255
    """Bytes of one part of a member's path; the whole path may have four times as many."""

    markup: int = 4 * 2**20
    """Bytes of an XML file."""

    elements: int = 20_000
    """Elements of an XML file."""

    depth: int = 32
    """Levels of an XML file."""

    text: int = 2**20
    """Bytes of a plain text file (RPB, gains, wavelengths, ENVI headers)."""

    samples: int = 2**35
    """Pixels times bands of one image."""

    side: int = 2**20
    """Pixels along one side of an image."""

    packing: float = 200.0
    """Image bytes for each byte stored in a compressed image."""

    directories: int = 16
    """Images in one TIFF file: the main one, its overviews and masks."""
