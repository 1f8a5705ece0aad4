"""The examples of how nodes are run: a compose file, a Kubernetes manifest and a systemd unit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from engine import config
from engine.cli.serve import serve
from engine.cluster.members import lanes_here
from engine.simulator import Simulator
from tests import ROOT
from tests.programs import faults_of_unit
from tests.served import Served, until
from tests.stopwatch import PATIENCE

EXAMPLES = ROOT / "examples" / "cluster"
NAMES = ("compose.yml", "kubernetes.yml", "kraken-engine-node.service")


def _text(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


def _yaml(name: str) -> list[Any]:
    """The documents of a file."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: it comes with apprise, pip install '.[alerts]'")
    return list(yaml.safe_load_all(_text(name)))


def _of_kind(kind: str) -> list[Any]:
    return [each for each in _yaml("kubernetes.yml") if each["kind"] == kind]


def _pod() -> Any:
    (found,) = _of_kind("StatefulSet")
    return found["spec"]["template"]["spec"]


def _variables(name: str) -> set[str]:
    """The variables of the engine that an example sets."""
    lines = [line for line in _text(name).splitlines() if not line.lstrip().startswith("#")]
    return set(re.findall(r"(KRAKEN_[A-Z_]+)[:=,]", "\n".join(lines))) - {"KRAKEN_SECRETS"}


# All of them

@pytest.mark.parametrize("name", NAMES)
def test_every_option_that_they_give_exists(name: str) -> None:
    known = {option for parameter in serve.params for option in parameter.opts}
    lines = [line for line in _text(name).splitlines() if not line.lstrip().startswith("#")]
    options = set(re.findall(r"(?<=[\"\s])--[a-z][a-z-]+", "\n".join(lines)))
    assert {"--cluster", "--config", "--host", "--token-file"} <= options <= known


@pytest.mark.parametrize("name", NAMES)
def test_every_account_of_the_lanes_has_its_keys(name: str, tmp_path: Path) -> None:
    """The variables that they set make a node that can take every lane."""
    table = tomllib.loads(_lanes_of(name))
    environment = {"KRAKEN_ENGINE_CLUSTER": "host=db"}
    image = {"KRAKEN_API_KEY_FILE", "KRAKEN_API_SECRET_FILE"}  # which it names itself
    for number, variable in enumerate(sorted(_variables(name) | image)):
        if variable.endswith("_FILE"):
            file = tmp_path / variable
            file.write_text(f"{number:04}" + "c2VjcmV0" * 8)
            file.chmod(0o600)
            environment[variable] = str(file)
    (tmp_path / "node.toml").write_text(_lanes_of(name))
    found = config.load(environment, tmp_path / "node.toml", node="red")
    assert found.cluster is not None
    assert "red" in str(found.cluster.url)
    named, here = lanes_here(found.cluster.lanes, found.accounts)
    assert named.keys() == here.keys() == table["lanes"].keys()


def _lanes_of(name: str) -> str:
    if name != "kubernetes.yml":
        return _text("node.toml")
    (found,) = _of_kind("ConfigMap")
    return str(found["data"]["node.toml"])


@pytest.mark.parametrize("name", NAMES)
def test_no_example_mixes_a_state_directory_with_the_cluster(name: str) -> None:
    """The image names a state directory, which the examples that run it take back."""
    named = re.findall(r'KRAKEN_ENGINE_STATE[^"\n]*"([^"\n]*)"', _text(name))
    assert named == ([] if name == "kraken-engine-node.service" else [""])
    assert "XDG_STATE_HOME" in _text(name)


@pytest.mark.parametrize("name", ["compose.yml", "kubernetes.yml"])
def test_what_a_container_runs_serves_every_account(name: str, sim: Simulator, dsn: str, tmp_path: Path) -> None:
    """The command and the variables of the example, with the files and the addresses of this machine."""
    places = {"/run/secrets": f"{tmp_path}/run", "/etc/kraken-engine": str(tmp_path), "/state": f"{tmp_path}/state"}
    command, variables = _container(name)
    options = [_moved(each, places) for each in command]
    environment = {variable: _moved(text, places) for variable, text in variables.items()}
    environment |= {"KRAKEN_SPOT_URL": sim.url, "KRAKEN_ENGINE_CLUSTER": dsn, "HOME": str(tmp_path)}
    config_file = tmp_path / "node.toml"
    config_file.write_text(_lanes_of(name).replace("[cluster]", '[cluster]\nname = "red"'))
    _write_secrets(sim, [*options, *environment.values()], tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "engine", *options, "--port", "0", "--json"],
        env=environment | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        port = int(json.loads(_document(process.stdout))["url"].rstrip("/").rpartition(":")[2])
        node = Served(process, port, tmp_path / "state", environment)
        until(lambda: node.ask("/readyz").status == 200)
        assert node.ask("/healthz").status == 200
        made = node.command("gateway-key", "MASTER", "--label", "bot", "--config", str(config_file), "--json")
        assert json.loads(made.stdout)["key"], made.stderr
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0
        process.communicate()


def _container(name: str) -> tuple[list[str], dict[str, str]]:
    """What a node's container runs, and its variables, those of the image included."""
    image = {"KRAKEN_API_KEY_FILE": "/run/secrets/key", "KRAKEN_API_SECRET_FILE": "/run/secrets/secret"}
    if name == "compose.yml":
        red = _yaml(name)[0]["services"]["red"]
        return red["command"], image | red["environment"]
    (container,) = _pod()["containers"]
    return container["args"], image | {each["name"]: each.get("value", "") for each in container["env"]}


def _moved(text: str, places: Mapping[str, str]) -> str:
    """The same with the directories of this machine."""
    return next((text.replace(old, new) for old, new in places.items() if text.startswith(old)), text)


def _write_secrets(sim: Simulator, paths: Sequence[str], directory: Path) -> None:
    """The files that are named, each with the secret that its name says."""
    secrets = {"token": "a-long-random-text", "cluster_token": "a-long-random-text-of-the-whole-cluster"}
    for account in sim.accounts:
        prefix = "" if account.name == "MASTER" else f"{account.name.lower()}_"
        secrets |= {f"{prefix}key": account.key, f"{prefix}secret": account.secret}
    for file in [Path(each) for each in paths if each.startswith(f"{directory}/run/")]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
        file.write_text(secrets[file.name])


def _document(stdout: IO[str]) -> str:
    """The first JSON document that a process prints."""
    told = ""
    while not told.endswith("\n}\n"):
        line = stdout.readline()
        assert line, f"it did not start: {told}"
        told += line
    return told


# Compose

def test_the_compose_file_has_what_it_mounts_and_exposes_this_machine_only() -> None:
    (found,) = _yaml("compose.yml")
    services = found["services"]
    nodes = [services[name] for name in ("red", "blue")]
    for name in ("red", "blue"):
        assert services[name]["hostname"] == name, "the node's name, and where others reach it"
        assert ["--allow-host", name] in [services[name]["command"][at:at + 2] for at in range(20)]
    assert {each for service in services.values() for each in service["secrets"]} == found["secrets"].keys()
    mounts = [volume.split(":")[0] for service in services.values() for volume in service["volumes"]]
    assert {each for each in mounts if not each.startswith("./")} == found["volumes"].keys()
    assert all((EXAMPLES / each).is_file() for each in mounts if each.startswith("./"))
    assert all(port.startswith("127.0.0.1:") for node in nodes for port in node["ports"])
    assert "ports" not in services["postgres"]
    build = nodes[0]["build"]
    assert (EXAMPLES / build["context"] / build["dockerfile"]).is_file()


def test_compose_takes_the_compose_file() -> None:
    if shutil.which("docker") is None or subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("docker compose is not installed")
    done = subprocess.run(
        ["docker", "compose", "-f", str(EXAMPLES / "compose.yml"), "config", "--quiet"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_can_run_a_node() -> None:
    assert "'/src[web,cluster]'" in (ROOT / "examples" / "Dockerfile").read_text(encoding="utf-8")


# Kubernetes

def test_the_manifest_is_valid() -> None:
    """By the schemas of Kubernetes, which the package has with it; nothing that they do not know is in it."""
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    documents = _yaml("kubernetes.yml")
    for each in documents:
        assert validate.validate(each, validate.latest_version(), strict=True)
    with pytest.raises(validate.ValidationError):
        validate.validate({**documents[-1], "spec": {"replica": 2}}, validate.latest_version(), strict=True)


def test_the_manifest_holds_together() -> None:
    (stateful,), (budget,) = _of_kind("StatefulSet"), _of_kind("PodDisruptionBudget")
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    services = {each["metadata"]["name"]: each["spec"] for each in _of_kind("Service")}
    assert all(each["selector"] == labels for each in services.values())
    assert stateful["spec"]["selector"]["matchLabels"] == budget["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["maxUnavailable"] == 1
    headless = stateful["spec"]["serviceName"]
    assert services[headless]["clusterIP"] == "None"
    assert services[headless]["publishNotReadyAddresses"]
    assert f"{{name}}.{headless}:8710" in _lanes_of("kubernetes.yml")
    (container,) = _pod()["containers"]
    assert f"$(POD_NAME).{headless}" in container["args"]
    claimed = {each["metadata"]["name"] for each in stateful["spec"]["volumeClaimTemplates"]}
    volumes = {each["name"] for each in _pod()["volumes"]} | claimed
    assert {each["name"] for each in container["volumeMounts"]} == volumes
    assert {each["targetPort"] for service in services.values() for each in service["ports"]} == {
        each["name"] for each in container["ports"]
    }


def test_the_manifest_asks_the_service_s_own_probes() -> None:
    (container,) = _pod()["containers"]
    paths = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_every_secret_of_the_manifest_is_one_that_it_says_how_to_make() -> None:
    text = _text("kubernetes.yml")
    made = set(re.findall(r"create secret generic ([\w-]+)", text))
    assert made == set(re.findall(r"secretName: ([\w-]+)", text)) == {"kraken-keys", "kraken-service"}
    mounted = set(re.findall(r"value: /run/secrets/keys/(\w+)", text))
    assert mounted == set(re.findall(r"--from-file=(\w+)", text)) - {"token", "cluster_token"}
    taken = set(re.findall(r"name: kraken-service, key: (\w+)", text)) | set(re.findall(r"path: (\w+)}", text))
    assert taken == {"dsn", "cluster_token", "token"}


# systemd

def test_the_unit_is_one_of_systemd_s() -> None:
    assert faults_of_unit(EXAMPLES / "kraken-engine-node.service") == []


def test_every_credential_of_the_unit_is_loaded() -> None:
    text = _text("kraken-engine-node.service")
    assert set(re.findall(r"%d/([\w.]+)", text)) == set(re.findall(r"LoadCredential=([\w.]+):", text))
