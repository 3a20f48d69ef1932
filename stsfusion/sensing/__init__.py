"""Instruments and scenes as data: spectra, sensors, catalogs."""
