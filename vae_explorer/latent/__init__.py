"""Looking into a latent space: views, the decoded manifold, the codes, and the explorer.

No Qt. `views`, `map_rect`, `lattice` and `code_raster` are free of torch; the rest runs on the exploring
thread.
"""
