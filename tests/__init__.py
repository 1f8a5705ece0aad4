"""The tests; README.rst beside this file names each promise and the tests that hold it."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
