"""The static files of the page. Nothing is loaded from another site."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_DIRECTORY = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain"}


async def static(request: Request) -> Response:
    """One file by its name."""
    name = request.path_params["name"]
    body, tag = _files().get(name, (None, ""))
    if body is None:
        raise HTTPException(404)
    headers = {"cache-control": "no-cache", "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=_TYPES[Path(name).suffix], headers=headers)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """What may be asked for: exactly these files, read once."""
    files = {each.name: each.read_bytes() for each in _DIRECTORY.iterdir() if each.suffix in _TYPES}
    return {name: (body, f'"{hashlib.sha256(body).hexdigest()[:16]}"') for name, body in files.items()}
