"""G1, G9: a process that may open no more files loses nothing of its store, and the error says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import ROOT

SHORT = """
import os, resource, sys
from pathlib import Path
from engine.errors import StoreError
from engine.store import Store, open_or_replace
from engine.store.nonce_files import read_marks
from engine.store.nonces import file_nonces

directory = Path(sys.argv[1])
directory.mkdir(0o700)
nonces = file_nonces(directory)
last = nonces.issue("key")
nonces.close()
path = directory / "journal.sqlite"
store = Store(path, guards_log=True)
store.put("name", "document")
child = os.fork()
if child == 0:
    os.kill(os.getpid(), 9)
os.waitpid(child, 0)
names = set(os.listdir(directory))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

for left in range(12):
    eaten = []
    try:
        while True:
            eaten.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for descriptor in eaten[:left]:
        os.close(descriptor)
    for open_one in (lambda: open_or_replace(path, guards_log=True)[0], lambda: file_nonces(directory)):
        try:
            open_one().close()
        except StoreError as error:
            print(left, type(error).__name__, error)
        else:
            print(left, "opened")
    for descriptor in eaten[left:]:
        os.close(descriptor)
assert not [each for each in os.listdir(directory) if "damaged" in each]
assert store.documents() == {"name": "document"}
nonces = file_nonces(directory)
assert nonces.issue("key") > last
"""


def test_whatever_is_left_to_open_a_file_is_opened_or_refused_and_never_taken_for_damaged(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHORT, str(tmp_path / "state")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    refused = [line for line in done.stdout.splitlines() if "opened" not in line.split()[1]]
    assert refused
    for line in refused:
        assert line.split()[1] == "StoreError", line
        assert "LimitNOFILE" in line, line
