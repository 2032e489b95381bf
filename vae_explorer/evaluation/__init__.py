"""Measures: the numbers of an evaluation, each with all that it takes to compare it honestly."""
