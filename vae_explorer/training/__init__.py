"""Training: an iterator of frozen events, steered through a `Control`, that knows neither window nor disk."""
