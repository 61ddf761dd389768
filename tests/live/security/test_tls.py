"""TLS for all links: hub, agents, other kernels, private clusters; whoever has no certificate of the cluster stays out."""

import asyncio
import datetime as dt
import json
import stat

import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

import mesonb as mb
from mesonb.errors import BadValue, Unreachable
from mesonb.live import cluster
from mesonb.live.wire import tls
from tests.live.conftest import SMALL
from tests.live.security.strangers import Stranger, Wire
from tests.live.tasks import double
from tests.live.test_cluster import kernel

pytestmark = pytest.mark.live
pytest.importorskip("cryptography")


@pytest.fixture(scope="module")
def encrypted():
    """Return a master of a local cluster with a certificate of its own."""
    made = mb.Master(agents=[mb.Resources(cpus=4, mem="4GB")], name="encrypted", security=True)
    yield made
    made.close(cluster=True)


def test_all_that_is_said_is_encrypted(encrypted):
    assert encrypted.address.startswith("tls://")
    with Wire(encrypted.address) as wire, mb.connect(wire.address, security=encrypted.local.security) as remote:
        lab = remote.register(mb.Queue(needs=SMALL), name="nobody-reads-this")
        assert lab.submit(double, 4).result(60) == 8
        assert len(wire.passed) > 1000
        assert b"nobody-reads-this" not in wire.passed


def test_large_results_and_dask_futures_travel_encrypted_too(encrypted):
    lab = encrypted.register(mb.Queue(needs=SMALL), name="large")
    run = lab.submit(bytes, 2_000_000)
    assert len(run.result(60)) == 2_000_000
    with Client(encrypted.address, security=encrypted.local.security, set_as_default=False) as client:
        future = run.future(client)
        assert client.submit(len, future).result(60) == lab.submit(len, future).result(60) == 2_000_000
    encrypted.unregister(lab)


def test_another_kernel_finds_the_certificate_in_a_private_file(encrypted):
    file = encrypted.local.file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["tls"]["cert"].startswith("-----BEGIN CERTIFICATE")
    assert encrypted._note.stat().st_mode & 0o077 == 0
    other, said = kernel("""
        import mesonb as mb
        from tests.live.tasks import double
        with mb.connect(name="encrypted") as cluster:
            print(cluster.address[:6], cluster.register(mb.Queue(), name="other").submit(double, 3).result(60), flush=True)
    """)
    assert said == "tls:// 6"
    assert other.wait(60) == 0


@pytest.mark.parametrize("kind", ["agent", "leader", "kernel"])
@pytest.mark.parametrize("has", ["no TLS", "no certificate", "another certificate"])
def test_a_peer_without_the_certificate_is_refused(encrypted, kind, has):
    address = encrypted.address
    if has == "no TLS":
        address, arguments = address.replace("tls://", "tcp://"), {}
    elif has == "another certificate":
        arguments = Security.temporary().get_connection_args("client")
    else:
        arguments = {"ssl_context": anonymous(encrypted.local.security.tls_ca_file), "require_encryption": True}
    name = "kernel-x" if kind == "kernel" else "x"
    with pytest.raises(Unreachable, match="the hub at .* does not answer"):
        asyncio.run(Stranger.attach(address, name, kind, security=arguments, timeout_s=0.5))
    queue = encrypted.register(mb.Queue(needs=SMALL), name="unharmed")
    assert queue.submit(double, 2).result(60) == 4


def anonymous(ca):
    """Trust the cluster, and have no certificate of one's own."""
    import ssl

    context = ssl.create_default_context(cadata=ca)
    context.check_hostname = False
    return context


def test_connect_and_master_without_it_say_so(encrypted):
    for join in (mb.connect, mb.Master):
        with pytest.raises(
            BadValue, match=r"tls://.* is reached by TLS: give security=distributed.Security\(tls_ca_file="
        ):
            join(encrypted.address.replace("127.0.0.1", "localhost"))
    with pytest.raises(Unreachable, match="check the address"):
        mb.Master(encrypted.address.replace("tls", "tcp"))


def test_a_private_cluster_has_a_certificate_of_its_own(encrypted):
    with encrypted.dask("private", needs=mb.Resources(cpus=1, mem="500MB"), workers=1) as private:
        assert private.scheduler_address.startswith("tls://")
        with Client(private, set_as_default=False) as client:
            assert client.submit(double, 21).result(60) == 42
        with pytest.raises((OSError, TimeoutError)):
            Client(private.scheduler_address, security=encrypted.local.security, timeout=2, set_as_default=False)


def own_certificates(folder):
    """Write a CA and one certificate signed by it, as openssl would; return their paths."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def made(name, issuer, signer, *, ca):
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        certificate = builder.sign(signer or key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for end, content in ((".pem", certificate.public_bytes(serialization.Encoding.PEM)), (".key", private)):
            (folder / (name + end)).write_bytes(content)
        return subject, key

    issuer, signer = made("ca", None, None, ca=True)
    made("cluster", issuer, signer, ca=False)
    return [str(folder / name) for name in ("ca.pem", "cluster.pem", "cluster.key")]


def test_own_certificates_on_a_cluster_that_is_given(tmp_path):
    ca, cert, key = own_certificates(tmp_path)
    roles = {
        f"tls_{role}_{part}": path
        for role in ("client", "scheduler", "worker")
        for part, path in (("cert", cert), ("key", key))
    }
    own = Security(tls_ca_file=ca, require_encryption=True, **roles)
    with LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        security=own,
        protocol="tls://",
        dashboard_address=":0",
        silence_logs=50,
        preload="import os; os.setpgrp()",
    ) as given:
        with mb.Master(given.scheduler_address, security=own) as master:
            lab = master.register(mb.Queue(needs=SMALL), name="lab")
            assert lab.submit(double, 4).result(60) == 8
            with mb.connect(given) as remote:
                assert remote.snapshot().agent_count == 1
        with pytest.raises(Unreachable):
            mb.connect(given.scheduler_address, security=Security.temporary())


def test_a_cluster_with_tls_is_not_the_one_without(encrypted):
    agents = [mb.Resources(cpus=4, mem="4GB")]
    assert cluster._file_of(agents, "encrypted", tls=True) == encrypted.local.file
    assert cluster._file_of(agents, "encrypted") != encrypted.local.file


def test_without_cryptography_the_remedy_is_named(monkeypatch):
    def missing(**_):
        raise ImportError

    monkeypatch.setattr(Security, "temporary", missing)
    with pytest.raises(BadValue, match=r'install "mesonb\[tls\]", or give security= your own'):
        tls.temporary()


def test_looking_for_clusters_leaves_the_files_of_panel_servers_alone(encrypted):
    panels = encrypted.local.file.with_name("mesonb-0123456789abcdef.json")
    panels.write_text("{}")
    assert encrypted.address in {local.address for local in cluster.running_clusters()}
    assert panels.exists()
    panels.unlink()


def test_a_worker_with_a_certificate_of_its_own_alone_publishes_by_it():
    """As ``dask worker --tls-cert`` and a gateway start them: they have nothing for the role of a client."""
    both = Security.temporary()
    given = {
        "tls_ca_file": both.tls_ca_file,
        "tls_worker_cert": both.tls_worker_cert,
        "tls_worker_key": both.tls_worker_key,
    }
    worker = Security(require_encryption=True, **given)
    assert worker.get_connection_args("client")["ssl_context"] is None
    assert tls.of_a_client(worker).get_connection_args("client")["ssl_context"] is not None
    assert tls.of_a_client(both) is both


def test_an_address_behind_a_gateway_takes_its_package():
    with pytest.raises(BadValue, match="pip install dask-gateway"):
        tls.reaching("gateway://127.0.0.1:1/cluster", None)
