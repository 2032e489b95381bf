"""Files for other programs: grids of pictures as PNG."""
