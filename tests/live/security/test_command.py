"""Security on the command line: certificates, principals and rules for a master, a proof for whoever looks; no secret is a word."""

import argparse
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import mesonb as mb
from mesonb import cli
from mesonb.errors import BadValue, NotAllowed
from mesonb.live import cli as live_cli
from mesonb.live import masters, status
from mesonb.live.security import options
from tests.helpers import ROOT
from tests.live.conftest import SMALL
from tests.live.security.conftest import RULES, SECRETS
from tests.live.security.test_tls import own_certificates
from tests.live.tasks import double

pytestmark = pytest.mark.live
NAME = "secured"


def private(path, text):
    path.touch(0o600)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with a certificate, the secrets, each principal's own, and rules."""
    folder = tmp_path_factory.mktemp("files")
    for made, name in zip(own_certificates(folder), ("ca.pem", "cert.pem", "key.pem"), strict=True):
        shutil.move(made, folder / name)
    (folder / "key.pem").chmod(0o600)
    private(folder / "secrets.json", json.dumps(SECRETS))
    for name, secret in SECRETS.items():
        private(folder / name, secret)
    (folder / "acls.json").write_text(json.dumps({"rules": RULES}))
    return folder


@pytest.fixture(scope="module")
def secured(files):
    """Return the note of a master that `mesonb up` made, with everything that it can be told of security."""
    words = ["--tls", str(files), "--principals", str(files / "secrets.json"), "--acls", str(files / "acls.json")]
    assert cli.main(["up", "--name", NAME, "--agents", "1", "--cpus", "1", "--mem", "1GB", *words]) == 0
    (one,) = masters.known(NAME)
    yield one
    assert cli.main(["down", "--name", NAME]) == 0


def test_up_takes_certificate_principals_and_rules_and_no_secret_is_seen(secured, files):
    assert secured.address.startswith("tls://")
    typed = Path(f"/proc/{secured.pid}/cmdline").read_bytes() + Path(f"/proc/{secured.pid}/environ").read_bytes()
    assert str(files / "secrets.json").encode() in typed
    for secret in (*SECRETS.values(), (files / "key.pem").read_text()):
        assert secret.encode() not in typed
    ben = mb.connect(name=NAME, principal="ben", secret=files / "ben")
    with ben, pytest.raises(NotAllowed, match=r"may not register in the role 'prod': no rule of .*acls.json"):
        ben.register(mb.Queue(), name="bens", role="prod")
    with mb.connect(name=NAME, principal="anna", secret=files / "anna") as anna:
        assert anna.register(mb.Queue(needs=SMALL), name="annas", role="prod").submit(double, 4).result(60) == 8


@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        (["--principal", "anna", "--secret", "anna"], 0, ""),
        (["--principal", "anna", "--secret", "ben"], 2, "'anna' is not proven"),
        ([], 2, "say who you are, mb.connect(principal=..., secret=Path(...)), or on the command line --principal"),
        (["--principal", "anna", "--secret", "secrets.json"], 2, "'anna' is not proven"),
    ],
)
def test_status_proves_who_asks(secured, files, monkeypatch, capsys, says, code, words):
    monkeypatch.chdir(files)
    assert cli.main(["status", secured.address, *says]) == code
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == (1 if code else 0)
    if not code:
        assert "1 agent," in said.out


def test_from_elsewhere_status_takes_the_certificate_too(secured, files, tmp_path, monkeypatch, capsys):
    """As on another machine: nothing is noted there."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    assert cli.main(["status", secured.address]) == 2
    assert "is reached by TLS" in capsys.readouterr().err
    who = ["--principal", "anna", "--secret", str(files / "anna")]
    assert cli.main(["status", secured.address, "--json", "--tls", str(files), *who]) == 0
    assert json.loads(capsys.readouterr().out)["clusters"][0]["agent_count"] == 1


def test_top_looks_by_the_same_proof(secured, files):
    cluster = status.Cluster(secured.address, (), None)
    with status.Watched(cluster, ("anna", files / "anna"), secured.security) as watched:
        assert watched.look().picture.agent_count == 1
    with pytest.raises(NotAllowed, match="'anna' is not proven"):
        status.Watched(cluster, ("anna", files / "ben"), secured.security)


def test_a_master_of_a_cluster_that_is_there_takes_three_files(secured, files):
    words = [
        f"--tls-{word}={files / name}" for word, name in (("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem"))
    ]
    standby = subprocess.Popen(
        [sys.executable, "-m", "mesonb", "master", "--scheduler", secured.address, "--standby", *words],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert "stands by" in standby.stdout.readline()
        standby.send_signal(signal.SIGTERM)
        assert standby.wait(60) == 0
    finally:
        standby.kill()
        standby.wait()


def parsed(*words):
    parser = argparse.ArgumentParser()
    parser.set_defaults(command="up")
    live_cli.add_arguments(parser)
    return parser.parse_args(words)


def test_what_up_is_told_its_master_is_told(files):
    assert options.for_master(parsed("--tls")) == {"security": True}
    assert options.for_master(parsed()) == {}
    assert options.handed_on(parsed("--tls")) == ["--tls"]
    single = ["--tls-ca", "a", "--tls-cert", "b", "--tls-key", "c"]
    for words in (single, ["--tls", str(files)], []):
        assert options.handed_on(parsed(*words)) == words


@pytest.mark.parametrize(
    ("words", "because"),
    [
        (["status", "--principal", "anna", "--secret", "open"], "open can be read or changed by others (its mode is 0644)"),
        (["status", "--principal", "anna", "--secret", "missing"], "missing cannot be read"),
        (["status", "--principal", "anna", "--secret", "short"], "at least 16 characters"),
        (["top", "--principal", "anna"], "--principal NAME and --secret FILE go together"),
        (["up", "--principals", "open"], "open can be read or changed by others"),
        (["up", "--principals", "secrets.json", "--acls", "everybodys.json"], "everybodys.json can be changed by everybody"),
        (["up", "--principals", "secrets.json", "--acls", "nobodys.json"], "is about 'eve', but the principals are anna"),
        (["up", "--tls-ca", "ca.pem", "--tls-cert", "cert.pem"], "--tls-ca, --tls-cert and --tls-key go together"),
        (["up", "--tls", ".", "--tls-ca", "ca.pem"], "--tls FOLDER names all three files"),
        (["up", "--tls", "nowhere"], "nowhere/key.pem cannot be read"),
        (["up", "--tls-ca", "ca.pem", "--tls-cert", "cert.pem", "--tls-key", "open"], "open can be read or changed by others"),
        (["up", "--tls-ca", "ca.pem", "--tls-cert", "ca.pem", "--tls-key", "key.pem"], "this certificate cannot be used"),
        (["up", "--tls", "--scheduler", "tls://127.0.0.1:9"], "--tls makes a certificate for a local cluster"),
        (["master", "--tls", ".", "--scheduler", "tcp://127.0.0.1:9"], "tcp://127.0.0.1:9 is not encrypted"),
    ],
)  # fmt: skip
def test_what_is_not_private_or_does_not_fit_is_refused_before_anything_starts(
    files, monkeypatch, capsys, words, because
):
    monkeypatch.chdir(files)
    (files / "open").write_text(SECRETS["anna"])
    (files / "open").chmod(0o644)
    private(files / "short", "short")
    (files / "everybodys.json").write_text("[]")
    (files / "everybodys.json").chmod(0o666)
    (files / "nobodys.json").write_text(json.dumps({"rules": [{"who": "eve", "may": "see"}]}))
    before = masters.known()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert because in said
    assert said.count("\n") == 1
    assert masters.known() == before


def test_a_certificate_of_its_own_is_no_cluster_that_is_given():
    with pytest.raises(BadValue, match="security=True makes a certificate for a local cluster"):
        mb.Master("tcp://127.0.0.1:9", security=True)
