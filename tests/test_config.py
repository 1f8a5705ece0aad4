"""Accounts and settings from the environment and TOML: flag, then environment, then file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Account, ConfigError, Engine, Settings
from engine.config import load, node_directory, node_name, served_directory, state_directory
from engine.values import KRAKEN_URL

SECRET = "c2VjcmV0"
ENVIRONMENT = {
    "KRAKEN_API_KEY": " master-key\n",
    "KRAKEN_API_SECRET": SECRET,
    "KRAKEN_USER_ALICE_API_KEY": "alice-key",
    "KRAKEN_USER_ALICE_API_SECRET": SECRET,
    "KRAKEN_USER_TEAM_API_B_API_KEY": "b-key",
    "KRAKEN_USER_TEAM_API_B_API_SECRET": SECRET,
    "HOME": "/nowhere",
}


def test_environment_names_master_and_users() -> None:
    found = load(ENVIRONMENT)
    assert [account.name for account in found.accounts] == ["MASTER", "ALICE", "TEAM_API_B"]
    assert found.accounts[0].key.reveal() == "master-key"
    assert found.url == KRAKEN_URL


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("master-key\n")
    (tmp_path / "secret").write_text(SECRET + "\n")
    found = load({"KRAKEN_API_KEY_FILE": str(tmp_path / "key"), "KRAKEN_API_SECRET_FILE": str(tmp_path / "secret")})
    assert found.accounts[0].secret.reveal() == SECRET


def test_state_directory_is_one_sentence_where_the_working_directory_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ConfigError, match="'here' cannot be a state directory"):
        state_directory("here")
    assert state_directory(tmp_path) == tmp_path


@pytest.mark.parametrize(
    "make",
    [
        lambda: Account("A", "k", SECRET, otp=5),  # type: ignore[arg-type]
        lambda: Settings(cash=None),  # type: ignore[arg-type]
        lambda: Engine([], settings={"max_age": 1}),  # type: ignore[arg-type]
        lambda: state_directory("a\0b"),
        lambda: state_directory("\ud800"),
    ],
)
def test_parts_of_the_wrong_kind_are_a_config_error(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        make()


def test_a_path_of_a_secret_is_shown_where_it_cannot_be_the_secret(tmp_path: Path) -> None:
    """G11: a password in place of the name of its file is not repeated, however short it is."""

    def told(path: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load({"KRAKEN_API_KEY": "k", "KRAKEN_API_SECRET": "c2VjcmV0", "KRAKEN_API_OTP_FILE": path})
        return str(caught.value)

    assert f"KRAKEN_API_OTP_FILE names, {tmp_path}/none, cannot be read" in told(f"{tmp_path}/none")
    for password in ("hunter2", "/hunter2", "hunter2/3", f"/{'a' * 60}", f"{tmp_path}/{'a' * 60}"):
        assert password not in told(password)
        assert f"{len(password)} characters that is not shown" in told(password)


@pytest.mark.parametrize("endless", ["/dev/zero", "long"])
def test_file_of_a_secret_that_does_not_end_is_one_sentence(tmp_path: Path, endless: str) -> None:
    (tmp_path / "long").write_text("A" * 100_000)
    with pytest.raises(ConfigError, match=r"KRAKEN_API_SECRET_FILE.*too long"):
        load({"KRAKEN_API_KEY": "k", "KRAKEN_API_SECRET_FILE": str(tmp_path / endless)})


def test_flag_beats_environment_beats_file(tmp_path: Path) -> None:
    file = tmp_path / "engine.toml"
    file.write_text(
        'url = "https://file.kraken.com"\nstate_dir = "/file"\n[settings]\nrefresh_every = 7\ncash = ["EUR"]\n'
        f'[accounts.MASTER]\nkey = "file-key"\nsecret = "{SECRET}"\n[accounts.CAROL]\nkey = "c"\nsecret = "{SECRET}"\n'
    )
    from_file = load({}, file)
    assert (from_file.url, from_file.state_dir) == ("https://file.kraken.com", Path("/file"))
    assert (from_file.settings.refresh_every, from_file.settings.cash) == (7, ("EUR",))
    environment = {**ENVIRONMENT, "KRAKEN_SPOT_URL": "https://env.kraken.com", "KRAKEN_ENGINE_STATE": "/env"}
    both = load(environment, file)
    assert (both.url, both.state_dir) == ("https://env.kraken.com", Path("/env"))
    assert [account.name for account in both.accounts] == ["MASTER", "ALICE", "CAROL", "TEAM_API_B"]
    assert both.accounts[0].key.reveal() == "master-key"
    flags = load(environment, file, url="https://flag.kraken.com", state_dir="/flag")
    assert (flags.url, flags.state_dir) == ("https://flag.kraken.com", Path("/flag"))


def test_each_field_of_an_account_may_stand_in_another_place(tmp_path: Path) -> None:
    file = tmp_path / "engine.toml"
    file.write_text(
        '[accounts.MASTER]\ntier = "pro"\nkey_file = "/nowhere/not-read"\n'
        f'[accounts.ALICE]\nsecret = "{SECRET}"\notp = "otp-secret"\n'
    )
    master, alice = load(
        {"KRAKEN_API_KEY": "m", "KRAKEN_API_SECRET": SECRET, "KRAKEN_USER_ALICE_API_KEY": "a"}, file
    ).accounts
    assert (master.tier, master.key.reveal()) == ("pro", "m")
    assert (alice.key.reveal(), alice.secret.reveal()) == ("a", SECRET)
    assert alice.otp is not None
    with pytest.raises(ConfigError, match=r"KRAKEN_API_SECRET is not set"):
        load({"KRAKEN_API_KEY": "m"}, file)
    file.write_text('[accounts.MASTER]\ntier = "pro"\n')
    with pytest.raises(ConfigError, match=r"\[accounts.MASTER\] has no key"):
        load({}, file)


def test_the_password_of_a_key_may_stand_in_every_place(tmp_path: Path) -> None:
    """A key with two-factor: as a variable, in a file that a variable or the configuration names, or in that itself."""
    (tmp_path / "otp").write_text("from-file\n")
    (tmp_path / "engine.toml").write_text(
        f'[accounts.CAROL]\nkey = "c"\nsecret = "{SECRET}"\notp_file = "{tmp_path / "otp"}"\n'
        f'[accounts.DAVE]\nkey = "d"\nsecret = "{SECRET}"\notp = "in the way"\n'
    )
    environment = {
        "KRAKEN_API_KEY": "m", "KRAKEN_API_SECRET": SECRET, "KRAKEN_API_OTP": "of-master",
        "KRAKEN_USER_ALICE_API_KEY": "a", "KRAKEN_USER_ALICE_API_SECRET": SECRET,
        "KRAKEN_USER_ALICE_API_OTP_FILE": str(tmp_path / "otp"), "KRAKEN_USER_DAVE_API_OTP": "of-dave",
        "KRAKEN_USER_EVE_API_KEY": "e", "KRAKEN_USER_EVE_API_SECRET": SECRET,
    }  # fmt: skip
    given = {each.name: each.otp and each.otp.reveal() for each in load(environment, tmp_path / "engine.toml").accounts}
    assert given == {"MASTER": "of-master", "ALICE": "from-file", "CAROL": "from-file", "DAVE": "of-dave", "EVE": None}
    with pytest.raises(ConfigError, match="KRAKEN_USER_BOB_API_KEY is not set"):
        load({"KRAKEN_USER_BOB_API_OTP": "x"})


def test_state_directory_defaults() -> None:
    assert state_directory(None, {"XDG_STATE_HOME": "/xdg"}) == Path("/xdg/kraken-engine")
    assert state_directory(None, {"KRAKEN_ENGINE_STATE": "/mine", "XDG_STATE_HOME": "/xdg"}) == Path("/mine")
    assert state_directory(None, {}) == Path.home() / ".local/state/kraken-engine"
    assert state_directory("/given", {"KRAKEN_ENGINE_STATE": "/mine"}) == Path("/given")


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "There is no account"),
        ({"KRAKEN_API_KEY": "k"}, "KRAKEN_API_SECRET is not set"),
        ({"KRAKEN_API_SECRET": SECRET}, "KRAKEN_API_KEY is not set"),
        ({"KRAKEN_USER_BOB_API_KEY": "k"}, "KRAKEN_USER_BOB_API_SECRET is not set"),
        ({"KRAKEN_API_KEY": "k", "KRAKEN_API_SECRET": "%%%"}, "not base64"),
        ({"KRAKEN_API_KEY": "k", "KRAKEN_API_SECRET_FILE": "/nowhere/at/all"}, "cannot be read"),
        ({"KRAKEN_USER_A B_API_KEY": "k", "KRAKEN_USER_A B_API_SECRET": SECRET}, "cannot name an account"),
    ],
)
def test_half_a_configuration_is_one_sentence(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        load(environment)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not toml", "not valid TOML"),
        (f'[accounts.MASTER]\nkey = "{SECRET}', "not valid TOML"),
        ("colour = 1", "unknown entry: colour"),
        ("[settings]\nspeed = 1", "unknown entry: speed"),
        ("[settings]\nrefresh_evry = 1", r"unknown entry: refresh_evry \(did you mean refresh_every\?\)"),
        ("[setings]\npush = true", r"did you mean settings\?"),
        ('[settings]\nrefresh_every = "5"', "refresh_every is a number, without quotes"),
        ("[settings]\nmax_age = 0", "positive"),
        ("settings = 5", "is a table"),
        ("state_dir = 5", "text in quotes"),
        ("accounts = 5", "is a table"),
        ('[accounts.MASTER]\nkey = "k"', "has no secret"),
        ('[accounts.MASTER]\nkey = "k"\nsecrets = "x"', "unknown entry: secrets"),
        ("[accounts.MASTER]\nkey = 5\nsecret = 6", "has no API key"),
        ("[accounts.MASTER]\nkey_file = 5", "key_file is a text in quotes"),
        ("[accounts.MASTER]\notp = 5", "otp is a text in quotes"),
        ('[settings]\nallow_withdrawals = "false"', "allow_withdrawals is true or false"),
        ("[settings]\nca_file = 5", "ca_file is a text in quotes"),
        ('[settings]\ncash = "USD"', "cash is a list"),
        ("[settings]\ncash = [5]", "cash is a list"),
    ],
)
def test_wrong_file_is_one_sentence_without_its_content(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "engine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load({}, file)
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        load({}, tmp_path / "missing.toml")


CLUSTER = '[cluster]\ndsn = "postgresql://kraken:hush@db/kraken"\nname = "red"\nurl = "https://red:8710"\n'
LANES = '[lanes.one]\naccounts = ["MASTER", "ALICE"]\n[lanes.two]\naccounts = ["BOB"]\n'


def test_a_cluster_takes_the_place_of_a_state_directory(tmp_path: Path) -> None:
    file = tmp_path / "engine.toml"
    file.write_text(CLUSTER + LANES)
    found = load({**ENVIRONMENT, "XDG_STATE_HOME": "/xdg"}, file)
    assert found.cluster is not None
    assert (found.cluster.name, found.cluster.url) == ("red", "https://red:8710")
    assert found.cluster.lanes == {"one": ("MASTER", "ALICE"), "two": ("BOB",)}
    assert found.cluster.dsn.reveal().endswith("@db/kraken")
    assert found.state_dir == Path("/xdg/kraken-engine-nodes/red")
    assert "hush" not in repr(found)
    other = load({**ENVIRONMENT, "KRAKEN_ENGINE_CLUSTER": "host=other"}, file).cluster
    assert other is not None
    assert other.dsn.reveal() == "host=other"
    assert load(ENVIRONMENT).cluster is None


def test_nodes_share_a_file_that_names_them_in_their_url(tmp_path: Path) -> None:
    file = tmp_path / "engine.toml"
    file.write_text('[cluster]\ndsn = "host=db"\nname = "red"\nurl = "https://{name}.example:8710"\n')
    shared, other = load(ENVIRONMENT, file), load(ENVIRONMENT, file, node="blue")
    assert shared.cluster is not None
    assert other.cluster is not None
    assert (shared.cluster.name, shared.cluster.url) == ("red", "https://red.example:8710")
    assert (other.cluster.name, other.cluster.url) == ("blue", "https://blue.example:8710")
    assert other.state_dir.name == "blue"
    with pytest.raises(ConfigError, match="cannot be a node's name"):
        load(ENVIRONMENT, file, node="a/b")


def test_the_token_of_a_cluster_comes_from_the_environment_or_a_private_file(tmp_path: Path) -> None:
    secret, file = tmp_path / "token", tmp_path / "engine.toml"
    secret.write_text("from-the-file\n")
    secret.chmod(0o600)
    file.write_text(CLUSTER + f'token_file = "{secret}"\n')

    def token(environment: dict[str, str]) -> str | None:
        cluster = load({**ENVIRONMENT, "KRAKEN_ENGINE_CLUSTER": "host=db", **environment}, file).cluster
        assert cluster is not None
        assert "from-the" not in repr(cluster)
        return None if cluster.token is None else cluster.token.reveal()

    assert token({}) == "from-the-file"
    assert token({"KRAKEN_ENGINE_CLUSTER_TOKEN": "from-the-environment"}) == "from-the-environment"
    assert token({"KRAKEN_ENGINE_CLUSTER_TOKEN_FILE": str(secret)}) == "from-the-file"
    file.write_text(CLUSTER)
    assert token({}) is None
    secret.chmod(0o640)
    with pytest.raises(ConfigError, match="Others may read the file that KRAKEN_ENGINE_CLUSTER_TOKEN_FILE names"):
        token({"KRAKEN_ENGINE_CLUSTER_TOKEN_FILE": str(secret)})


def test_the_service_of_this_machines_node_is_found_without_a_directory() -> None:
    environ = {"KRAKEN_ENGINE_CLUSTER": "host=db", "XDG_STATE_HOME": "/xdg"}
    assert served_directory(None, environ) == node_directory(node_name(), environ)
    assert served_directory("/given", environ) == Path("/given")
    assert served_directory(None, {**environ, "KRAKEN_ENGINE_STATE": "/state"}) == Path("/state")
    assert served_directory(None, {"XDG_STATE_HOME": "/xdg"}) == Path("/xdg/kraken-engine")


def test_no_engine_with_a_state_directory_starts_from_the_configuration_of_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="serve --cluster"):
        Engine.from_env({**ENVIRONMENT, "KRAKEN_ENGINE_CLUSTER": "host=db"})


@pytest.mark.parametrize(
    ("text", "flag", "environment", "where"),
    [
        (CLUSTER, "/flag", {}, "--state-dir"),
        (CLUSTER, None, {"KRAKEN_ENGINE_STATE": "/env"}, "KRAKEN_ENGINE_STATE"),
        ('state_dir = "/file"\n' + CLUSTER, None, {}, "state_dir in the configuration file"),
        ('state_dir = "/file"\n', None, {"KRAKEN_ENGINE_CLUSTER": "host=db"}, "state_dir in the configuration file"),
    ],
)
def test_a_cluster_and_a_state_directory_are_never_mixed(
    tmp_path: Path, text: str, flag: str | None, environment: dict[str, str], where: str
) -> None:
    file = tmp_path / "engine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=f"A state directory \\({where}\\) and a cluster are both named"):
        load({**ENVIRONMENT, **environment}, file, state_dir=flag)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cluster = 5", r"\[cluster\] is a table"),
        ("[cluster]\ndsn = 5", "text in quotes"),
        ('[cluster]\ndsn = "host=db"\nhost = "x"', "unknown entry: host"),
        ('[cluster]\nname = "red"', "no dsn"),
        (LANES, "no dsn"),
        ('[cluster]\ndsn = "host=db"\nname = "a/b"', "cannot be a node's name"),
        (CLUSTER + "lanes = 5", "text in quotes"),
        ('lanes = 5\n[cluster]\ndsn = "host=db"', "a lane is a table"),
        (CLUSTER + "[lanes.one]\n", "a lane is a table"),
        (CLUSTER + '[lanes.one]\naccounts = "MASTER"', "a lane is a table"),
        (CLUSTER + "[lanes.one]\naccounts = [5]", "a lane is a table"),
    ],
)
def test_a_wrong_cluster_is_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "engine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        load(ENVIRONMENT, file)
