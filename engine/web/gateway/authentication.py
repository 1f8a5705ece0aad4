"""Who calls the gateway: the key, the signature, and whether the call is a new one."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from engine.errors import StoreError
from engine.kraken import refusal_words
from engine.kraken.signing import Signer
from engine.web.gateway.credentials import Credential, Credentials
from engine.web.gateway.refusals import GatewayRefusal
from engine.web.gateway.replay import ReplayGuard
from engine.web.gateway.request import GatewayRequest, Unreadable, read_body


class _Key:
    """What every call with one credential needs: its signer and its replay guard."""

    def __init__(self, credentials: Credentials, credential: Credential) -> None:
        self.signer = Signer(credentials.secret(credential))
        self.guard = ReplayGuard(credentials.mark(credential))


class Authentication:
    """Checks the calls of the gateway's clients. Lives in the thread of the event loop.

    A call passes only with a good signature of a key in force, and only once. The secret of a key is derived at its
    first call; a key that is issued anew is another credential, with another secret.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._keys: dict[Credential, _Key] = {}
        self._writing = asyncio.Lock()

    async def check(self, request: Request, body: bytes) -> tuple[Credential, GatewayRequest]:
        """The key with which a call is signed, and what it asks for. Raises `GatewayRefusal`."""
        headers = request.headers
        credential = self._credentials.find(headers.get("api-key", ""))
        if credential is None:
            told = "The gateway has no such API key: 'kraken-engine gateway-key' lists them and makes new ones."
            raise GatewayRefusal(refusal_words.INVALID_KEY, told)
        try:
            asked = read_body(body, headers.get("content-type", ""))
        except Unreadable as error:
            raise GatewayRefusal(refusal_words.INVALID_ARGUMENTS, str(error)) from None
        if asked.nonce is None:
            raise GatewayRefusal(refusal_words.INVALID_NONCE, "The call has no nonce that is a whole number.")
        path = request.scope["path"]
        if not path.isascii():
            raise GatewayRefusal(refusal_words.UNKNOWN_METHOD, "The path has other characters than an endpoint has.")
        key, given = self._key(credential), headers.get("api-sign", "")
        if not hmac.compare_digest(given.encode(), key.signer.sign(path, body, asked.nonce).encode()):
            told = "The signature does not fit: the secret is not that of this key, or the key was issued anew."
            raise GatewayRefusal(refusal_words.INVALID_SIGNATURE, told)
        await self._check_new(credential, key.guard, asked.nonce, given)
        return credential, asked

    async def close(self) -> None:
        """Store the highest nonces seen, so that clients can go on at once after a restart."""
        for credential, key in self._keys.items():
            if key.guard.highest < key.guard.mark:
                with contextlib.suppress(StoreError):
                    await run_in_threadpool(self._credentials.keep_mark, credential, key.guard.highest)

    def _key(self, credential: Credential) -> _Key:
        key = self._keys.get(credential)
        if key is None:
            key = self._keys[credential] = _Key(self._credentials, credential)
        return key

    async def _check_new(self, credential: Credential, guard: ReplayGuard, nonce: int, signature: str) -> None:
        now = time.time()
        if not guard.admit(nonce, signature, now):
            raise GatewayRefusal(refusal_words.INVALID_NONCE, guard.why_not(nonce, now))
        if guard.next_mark(nonce, now) is not None:
            async with self._writing:
                await self._raise_mark(credential, guard, nonce, now)

    async def _raise_mark(self, credential: Credential, guard: ReplayGuard, nonce: int, now: float) -> None:
        """Make a mark durable that is above the nonce, unless another call of the key has done so meanwhile."""
        mark = guard.next_mark(nonce, now)
        if mark is None:
            return
        try:
            await run_in_threadpool(self._credentials.keep_mark, credential, mark)
        except StoreError as error:
            raise GatewayRefusal(refusal_words.UNAVAILABLE, str(error)) from None
        guard.mark = mark
