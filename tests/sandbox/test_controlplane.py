"""The parts of the real control plane that need no cluster; the rest is in tests/realcluster."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeoidcproxy.sandbox.controlplane import commands
from kubeoidcproxy.sandbox.controlplane.certificates import CertificateAuthority, ClusterCertificates, KeyPair
from kubeoidcproxy.sandbox.controlplane.control_plane import ControlPlane, assets_from_environment
from kubeoidcproxy.sandbox.controlplane.kubeconfig import write_kubeconfig
from kubeoidcproxy.sandbox.controlplane.processes import ControlPlaneError, ProcessGroup, reserve_port

ASSETS = Path("assets")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> ClusterCertificates:
    return ClusterCertificates.write(tmp_path_factory.mktemp("pki"))


def load(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate_file.read_bytes())


def names(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str | bytes]:
    return [attribute.value for attribute in certificate.subject.get_attributes_for_oid(oid)]


def make_programs(folder: Path, *programs: str) -> None:
    for program in programs:
        (folder / program).touch(mode=0o755)


# Certificates.


def test_the_api_server_is_known_by_its_loopback_and_service_names(certificates: ClusterCertificates) -> None:
    san = load(certificates.api_server).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.IPAddress) == [IPv4Address("127.0.0.1"), IPv4Address("10.96.0.1")]
    assert "kubernetes.default.svc" in san.get_values_for_type(x509.DNSName)
    assert "localhost" in san.get_values_for_type(x509.DNSName)


def test_the_admin_is_a_client_of_the_group_masters(certificates: ClusterCertificates) -> None:
    admin = load(certificates.admin)
    usage = admin.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert names(admin, NameOID.COMMON_NAME) == ["admin"]
    assert names(admin, NameOID.ORGANIZATION_NAME) == ["system:masters"]


def test_the_certificate_that_opens_kubelets_opens_nothing_else(certificates: ClusterCertificates) -> None:
    client_ca = x509.load_pem_x509_certificate(certificates.client_ca.read_bytes())
    kubelet_ca = x509.load_pem_x509_certificate(certificates.kubelet_ca.read_bytes())
    load(certificates.kubelet_client).verify_directly_issued_by(kubelet_ca)
    load(certificates.admin).verify_directly_issued_by(client_ca)
    with pytest.raises(ValueError, match="issuer"):
        load(certificates.kubelet_client).verify_directly_issued_by(client_ca)


def test_keys_are_p256_and_tokens_are_signed_with_rsa(certificates: ClusterCertificates) -> None:
    key = load_pem_private_key(certificates.admin.key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    signing_key = load_pem_private_key(certificates.service_account_key.read_bytes(), None)
    assert isinstance(signing_key, rsa.RSAPrivateKey)
    assert signing_key.key_size == 2048


def test_no_key_is_readable_by_others(certificates: ClusterCertificates) -> None:
    keys = list(certificates.admin.key_file.parent.glob("*.key"))
    assert len(keys) == 7
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_each_group_of_a_user_is_an_organization(tmp_path: Path) -> None:
    pair = CertificateAuthority.create("ca").issue_client(tmp_path / "v1.alice", "alice", ["dev", "ops"])
    assert names(load(pair), NameOID.ORGANIZATION_NAME) == ["dev", "ops"]
    assert pair.key_file.name == "v1.alice.key"


def test_a_kubeconfig_holds_all_it_needs(tmp_path: Path, certificates: ClusterCertificates) -> None:
    path = write_kubeconfig(
        tmp_path / "config", server="https://127.0.0.1:1", ca_file=certificates.server_ca, client=certificates.admin
    )
    document = yaml.safe_load(path.read_text())
    assert document["clusters"][0]["cluster"].keys() == {"server", "certificate-authority-data"}
    assert document["users"][0]["user"].keys() == {"client-certificate-data", "client-key-data"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Command lines.


def test_etcd_listens_on_no_port() -> None:
    listening = [argument for argument in commands.etcd(ASSETS) if argument.startswith("--listen")]
    assert listening == ["--listen-client-urls=unix://etcd.sock", "--listen-peer-urls=unix://etcd-peer.sock"]


def test_the_api_server_admits_nobody_unknown_and_writes_an_audit_log(certificates: ClusterCertificates) -> None:
    files = commands.ClusterFiles(Path("clusters/dev"))
    command = commands.api_server(ASSETS, "dev", 6443, files, certificates, ["--anonymous-auth=true"])
    assert {"--anonymous-auth=false", "--authorization-mode=RBAC", "--secure-port=6443"} <= set(command)
    assert {"--etcd-prefix=/dev", "--bind-address=127.0.0.1", "--audit-log-path=clusters/dev/audit.log"} <= set(command)
    assert command[-1] == "--anonymous-auth=true", "flags of the caller come last, where they win"


def test_companions_use_kubeconfigs_of_their_own(certificates: ClusterCertificates) -> None:
    files = commands.ClusterFiles(Path("clusters/dev"))
    manager = commands.controller_manager(ASSETS, files, certificates)
    kubelet = commands.kubelet(ASSETS, files, certificates)
    assert "--kubeconfig=clusters/dev/controller-manager.kubeconfig" in manager
    assert "--kubeconfig=clusters/dev/node.kubeconfig" in kubelet
    assert f"--client-ca-file={certificates.kubelet_ca}" in kubelet


# What it is started with.


def test_without_the_variable_there_are_no_assets() -> None:
    assert assets_from_environment({}) is None
    assert assets_from_environment({"KUBEBUILDER_ASSETS": ""}) is None


def test_assets_are_a_folder_with_an_api_server_and_etcd(tmp_path: Path) -> None:
    make_programs(tmp_path, "kube-apiserver", "etcd")
    assert assets_from_environment({"KUBEBUILDER_ASSETS": str(tmp_path)}) == tmp_path


def test_an_incomplete_folder_of_assets_is_an_error(tmp_path: Path) -> None:
    make_programs(tmp_path, "kube-apiserver")
    with pytest.raises(ControlPlaneError, match="no executable etcd there"):
        assets_from_environment({"KUBEBUILDER_ASSETS": str(tmp_path)})


@pytest.mark.parametrize("clusters", [["dev", "dev"], ["../dev"], ["Dev"], [""], ["-dev"], ["dev\n"]])
def test_cluster_names_are_different_dns_labels(tmp_path: Path, clusters: list[str]) -> None:
    with pytest.raises(ValueError, match="cluster name"):
        ControlPlane.start(assets=tmp_path, directory=tmp_path / "plane", clusters=clusters)
    assert not (tmp_path / "plane").exists()


def test_a_program_for_another_machine_is_named(tmp_path: Path) -> None:
    (tmp_path / "etcd").write_bytes(b"\x00\x00")
    (tmp_path / "etcd").chmod(0o755)
    with pytest.raises(ControlPlaneError, match=r"etcd cannot be run: .*Exec format error"):
        ControlPlane.start(assets=tmp_path, directory=tmp_path / "plane", clusters=["dev"])


def test_a_program_that_fails_at_once_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "etcd").write_text("#!/bin/sh\necho no disk today >&2; exit 7\n")
    (tmp_path / "etcd").chmod(0o755)
    with pytest.raises(ControlPlaneError, match=r"etcd has ended with status 7; the end of .*etcd.log:\nno disk today"):
        ControlPlane.start(assets=tmp_path, directory=tmp_path / "plane", clusters=["dev"])
    assert stat.S_IMODE((tmp_path / "plane").stat().st_mode) == 0o700


# Processes and ports.


def test_a_slow_process_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    group = ProcessGroup(tmp_path)
    try:
        group.start("sleeper", ["sh", "-c", "echo sleeping; exec sleep 60"], tmp_path / "log")
        with pytest.raises(ControlPlaneError, match=r"sleeper is not ready in time; the end of .*log:\nsleeping"):
            group.wait_until("sleeper", lambda: False, deadline=time.monotonic() + 0.5)
    finally:
        group.stop()
        group.stop()


OWNER = """
import pathlib, sys
from kubeoidcproxy.sandbox.controlplane.processes import ProcessGroup
directory = pathlib.Path(sys.argv[1])
ProcessGroup(directory).start("child", ["sh", "-c", "echo $$; exec sleep 60"], directory / "log")
input()
"""


def test_children_die_with_their_owner_even_when_it_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE)
    log = tmp_path / "log"
    deadline = time.monotonic() + 10
    while not (log.exists() and log.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = int(log.read_text())
    os.kill(child, 0)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    while _is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    """A zombie whose new parent has not taken notice yet is not running."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_a_reserved_port_can_be_listened_on_with_reuseport_only() -> None:
    with reserve_port() as reservation:
        address = reservation.getsockname()
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(address)
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind(address)
            server.listen()
            socket.create_connection(address, timeout=5).close()
