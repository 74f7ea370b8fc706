"""Rasters and pictures: what a UDF returned as pixels, its place, its colours, and the files that it becomes."""
