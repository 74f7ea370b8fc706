"""Mapbox vector tiles: geometries cut to a tile, thinned, mended, and written by whole columns."""
