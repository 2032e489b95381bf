"""Qt item models over plain records: a model is a VAE here, so these are tables."""
