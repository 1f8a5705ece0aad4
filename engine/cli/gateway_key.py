"""`kraken-engine gateway-key`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import click

from engine.app.remote.remote_engine import RemoteEngine
from engine.cli.engines import served_engine
from engine.cli.exits import Exit
from engine.cli.options import Options, account_named, common, pass_options
from engine.cli.output import document, say
from engine.config import Config
from engine.ownership import Ownership
from engine.web.gateway.credentials import Credentials


@click.command("gateway-key")
@common
@click.argument("account", required=False)
@click.option("--label", default="default", show_default=True, metavar="LABEL", help="Use one for each program.")
@click.option("--read-only/--trading", "read_only", default=True, show_default=True, help="What the key may do.")
@click.option("--revoke", is_flag=True, help="Revoke the key instead.")
@pass_options
def gateway_key(options: Options, account: str | None, label: str, read_only: bool, revoke: bool) -> int:
    """Make a credential for the gateway: an API key ACCOUNT.LABEL and its secret, which is shown this once.

    Give each program a label of its own, so that it can be revoked alone. The same label again makes a new secret, and
    the old one is void. Without ACCOUNT, every key is listed.

    Works through a running serve, and without one.
    """
    if revoke and account is None:
        raise click.UsageError("Say whose key is revoked: gateway-key ACCOUNT --label LABEL --revoke.")
    found = options.load(need_accounts=account is not None)
    with _keys(found) as keys:
        if account is None:
            told = {"keys": keys.all()}
        elif revoke:
            told = keys.revoke(account, label)
        else:
            is_replaced = any(each["key"] == f"{account}.{label}" and not each["is_revoked"] for each in keys.all())
            told = keys.issue(account, label, may_trade=not read_only)
            if is_replaced:
                say(f"The old secret of {told['key']} is void: a program that uses it is refused from now on.")
    if options.json:
        document(told)
    elif account is None:
        click.echo("\n".join(map(_line, told["keys"])) or "There is no gateway key.")
    elif revoke:
        click.echo(f"Gateway key {told['key']} is revoked.")
    else:
        click.echo(f"API key:     {told['key']}\nAPI secret:  {told['secret']}")
        if found.cluster is not None:
            say(f"The key is of node {found.cluster.name}: other nodes do not know it.")
        say("The secret is not shown again. Give both to the client, and the service's address as its URL.")
    return Exit.DONE


class _Local:
    """The keys while no service is running."""

    def __init__(self, found: Config, credentials: Credentials) -> None:
        self._found, self._credentials = found, credentials

    def all(self) -> list[dict[str, Any]]:
        return [each.to_dict() for each in self._credentials.all()]

    def issue(self, account: str, label: str, *, may_trade: bool) -> dict[str, Any]:
        account_named(self._found, account)
        credential, secret = self._credentials.issue(account, label, may_trade=may_trade)
        return {**credential.to_dict(), "secret": secret.reveal()}

    def revoke(self, account: str, label: str) -> dict[str, Any]:
        return self._credentials.revoke(account, label).to_dict()


class _Served:
    """The keys of a running service, which owns them."""

    def __init__(self, service: RemoteEngine) -> None:
        self._service = service

    def all(self) -> Any:
        return self._service.service("gateway-keys")

    def issue(self, account: str, label: str, *, may_trade: bool) -> Any:
        return self._service.service("issue", account=account, label=label, may_trade=may_trade)

    def revoke(self, account: str, label: str) -> Any:
        return self._service.service("revoke", account=account, label=label)


@contextlib.contextmanager
def _keys(found: Config) -> Iterator[_Local | _Served]:
    service = served_engine(found)
    if service is not None:
        with service:
            yield _Served(service)
        return
    ownership = Ownership(found.state_dir)  # raises StoreInUse while another engine has it
    try:
        with contextlib.closing(Credentials(ownership.directory)) as credentials:
            yield _Local(found, credentials)
    finally:
        ownership.release()


def _line(key: dict[str, Any]) -> str:
    rights = "revoked" if key["is_revoked"] else "trading" if key["may_trade"] else "read-only"
    return f"{key['key']}  {rights}"
