"""Benchmarks: the engine and its peers side by side, as ratios. Run with ``python -m tests.benchmarks``."""
