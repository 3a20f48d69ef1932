"""Where cubes meet methods, tile by tile."""
