"""Labelled data at rest: grids, the schema of a cube, files, and Zarr stores."""
