"""Programs that others wrote, as they come from PyPI, on the engine: each in a virtual environment of its own."""
