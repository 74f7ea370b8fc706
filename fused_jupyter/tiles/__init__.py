"""z/x/y: the web map tile grid (EPSG:3857, 2^z by 2^z tiles, y from the north), as OGC WebMercatorQuad defines it."""

from fused_jupyter.tiles._tile import MAX_ZOOM, MERCATOR_HALF_WIDTH, Tile, bounding_tile, grid_bounds

__all__ = ["MAX_ZOOM", "MERCATOR_HALF_WIDTH", "Tile", "bounding_tile", "grid_bounds"]
