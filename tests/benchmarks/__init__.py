"""Benchmarks: run by hand, each prints a table and writes JSON. `python -m tests.benchmarks` lists them.

Machines are noisy: what is compared is compared within one run, and medians and ratios are quoted.
"""
