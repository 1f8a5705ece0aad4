"""`python -m engine` and the console script `kraken-engine`."""

from __future__ import annotations

import gc
import json
import sys
from importlib.util import find_spec

GARBAGE_AFTER = 20_000
"""Objects made before the first look for garbage: imports make none, and looking takes a twentieth of a command."""

NEEDED = ("click", "rich")
INTERRUPTED = 130  # as in engine.cli.exits, which may not be there yet


def main() -> int:
    """Run the command line; the exit code. Says in one sentence how to get click and rich where they are missing."""
    gc.set_threshold(GARBAGE_AFTER)
    try:
        from engine import cli  # noqa: PLC0415 - packages it needs may be missing: one sentence says so

        if find_spec("rich") is None:  # imported by the commands that draw more than a table
            raise ModuleNotFoundError(name="rich")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in NEEDED:
            raise
        return _fail(f"{missing} is not installed: run pip install '.[cli]' in the clone.", "WrongUsage", 2)
    except KeyboardInterrupt:
        return _fail("Interrupted.", "Interrupted", INTERRUPTED)
    return cli.main()


def _fail(sentence: str, kind: str, code: int) -> int:
    if sys.stderr is not None:
        sys.stderr.write(f"kraken-engine: {sentence}\n")
    if "--json" in sys.argv and sys.stdout is not None:
        sys.stdout.write(json.dumps({"error": {"type": kind, "message": sentence}}, indent=2) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
