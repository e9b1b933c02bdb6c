"""A kubeconfig as kubectl understands it, or a refusal that names file and key and quotes no value."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificates import Authority

from kubeoidcproxy.clusters.kubeconfig import (
    ClientCertificateSpec,
    KubeconfigError,
    TokenCredentialSpec,
    TokenFileSpec,
    Upstream,
    load,
)

AUTHORITY = Authority()
OURS = AUTHORITY.issue(common_name="the proxy")
OTHER = AUTHORITY.issue(common_name="another")
SECRET = "s3cr3t-token"


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Kubeconfig:
    """A good kubeconfig in a folder of its own; tests spoil it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o700)
        self.path = folder / "prod.kubeconfig"
        self.cluster: dict[str, Any] = {
            "server": "https://api.example.com:6443",
            "certificate-authority-data": data(AUTHORITY.pem),
        }
        self.user: dict[str, Any] = {"token": SECRET}
        self.context: dict[str, Any] = {"cluster": "c", "user": "u", "namespace": "ignored"}
        self.document: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "current-context": "x",
            "clusters": [{"name": "c", "cluster": self.cluster}],
            "users": [{"name": "u", "user": self.user}],
            "contexts": [{"name": "x", "context": self.context}],
        }

    def load(self, context: str | None = None) -> Upstream:
        self.path.write_text(yaml.safe_dump(self.document))
        self.path.chmod(0o600)
        return load(self.path, context)

    def refusal(self, context: str | None = None) -> str:
        with pytest.raises(KubeconfigError) as caught:
            self.load(context)
        assert caught.value.files[0] == self.path
        assert SECRET not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def config(tmp_path: Path) -> Kubeconfig:
    return Kubeconfig(tmp_path)


def test_the_usual_one(config: Kubeconfig) -> None:
    assert config.load() == Upstream(
        host="api.example.com",
        port=6443,
        base_path=b"",
        tls_server_name="api.example.com",
        host_header=b"api.example.com:6443",
        ca_pem=AUTHORITY.pem,
        credential=TokenCredentialSpec(SECRET),
        files=(config.path,),
    )


def test_secrets_are_in_no_repr(config: Kubeconfig) -> None:
    assert SECRET not in repr(config.load())
    config.user.clear()
    config.user.update({"client-certificate-data": data(OURS.cert_pem), "client-key-data": data(OURS.key_pem)})
    assert "PRIVATE" not in repr(config.load())


def test_json_is_yaml(config: Kubeconfig) -> None:
    config.path.write_text(json.dumps(config.document, indent="  "))
    config.path.chmod(0o600)
    assert load(config.path, None).host == "api.example.com"


@pytest.mark.parametrize(
    ("server", "host", "port", "base_path", "host_header"),
    [
        ("https://api.example.com", "api.example.com", 443, b"", b"api.example.com"),
        ("https://api.example.com/", "api.example.com", 443, b"", b"api.example.com"),
        ("https://API.example.com:443", "api.example.com", 443, b"", b"API.example.com:443"),
        ("https://api.example.com:/k8s", "api.example.com", 443, b"/k8s", b"api.example.com"),
        ("https://rancher/k8s/clusters/c-1/", "rancher", 443, b"/k8s/clusters/c-1", b"rancher"),
        ("https://10.0.0.1:6443", "10.0.0.1", 6443, b"", b"10.0.0.1:6443"),
        ("https://[2001:db8::1]:6443", "2001:db8::1", 6443, b"", b"[2001:db8::1]:6443"),
    ],
)
def test_server(config: Kubeconfig, server: str, host: str, port: int, base_path: bytes, host_header: bytes) -> None:
    config.cluster["server"] = server
    upstream = config.load()
    assert (upstream.host, upstream.port, upstream.base_path) == (host, port, base_path)
    assert (upstream.host_header, upstream.tls_server_name) == (host_header, host)


@pytest.mark.parametrize("server", ["http://api.example.com", "api.example.com:6443", "", "HTTPS://a", "unix:/x"])
def test_a_server_that_is_not_https(config: Kubeconfig, server: str) -> None:
    config.cluster["server"] = server
    assert config.refusal() == f"{config.path}: clusters[c].cluster: server: must be an https:// URL"


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "/",
        ":443",
        "a:0",
        "a:65536",
        "a:b",
        "user:pw@a",
        "a?x=1",
        "a#x",
        "a/../b",
        "a/./b",
        "a//b",
        "a/%2e%2e",
        "a b",
        "a\r\nX: y",
        "a\tb",
        "[::1",
        "[fe80::1%25eth0]",
        "bücher",
        "a_b!",
        "a\\b",
    ],
)
def test_a_server_that_is_no_url(config: Kubeconfig, rest: str) -> None:
    config.cluster["server"] = f"https://{rest}"
    assert config.refusal() == f"{config.path}: clusters[c].cluster: server: is not https://HOST[:PORT][/PATH]"


def test_tls_server_name_is_what_is_verified(config: Kubeconfig) -> None:
    config.cluster |= {"server": "https://10.0.0.1", "tls-server-name": "kubernetes.default"}
    upstream = config.load()
    assert (upstream.host, upstream.tls_server_name, upstream.host_header) == (
        "10.0.0.1",
        "kubernetes.default",
        b"10.0.0.1",
    )
    config.cluster["tls-server-name"] = "a b"
    assert config.refusal().endswith("clusters[c].cluster: tls-server-name: is no DNS name and no IP address")


class TestCertificateAuthority:
    def test_without_one_the_roots_of_the_system(self, config: Kubeconfig) -> None:
        del config.cluster["certificate-authority-data"]
        assert config.load().ca_pem is None

    def test_a_file_beside_the_kubeconfig(
        self, config: Kubeconfig, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
        (config.folder / "pki").mkdir()
        (config.folder / "pki" / "ca.crt").write_text(AUTHORITY.pem)
        del config.cluster["certificate-authority-data"]
        config.cluster["certificate-authority"] = "pki/ca.crt"
        upstream = config.load()
        assert upstream.ca_pem == AUTHORITY.pem
        assert upstream.files == (config.path, config.folder / "pki" / "ca.crt")

    def test_data_wins_and_the_file_is_not_opened(self, config: Kubeconfig) -> None:
        config.cluster["certificate-authority"] = "missing.crt"
        assert config.load().ca_pem == AUTHORITY.pem

    def test_a_missing_file_is_watched_nevertheless(self, config: Kubeconfig) -> None:
        del config.cluster["certificate-authority-data"]
        config.cluster["certificate-authority"] = "ca.crt"
        missing = config.folder / "ca.crt"
        with pytest.raises(KubeconfigError, match="No such file or directory") as caught:
            config.load()
        assert str(caught.value).startswith(
            f"{config.path}: clusters[c].cluster: certificate-authority: {missing} cannot be read: "
        )
        assert caught.value.files == (config.path, missing)

    def test_nonsense(self, config: Kubeconfig) -> None:
        config.cluster["certificate-authority-data"] = "!!!"
        assert config.refusal().endswith("certificate-authority-data: is not base64 of a PEM text")
        config.cluster["certificate-authority-data"] = data("no certificate")
        assert config.refusal().endswith("certificate-authority: holds no readable PEM certificate")

    def test_base64_may_be_folded(self, config: Kubeconfig) -> None:
        encoded = data(AUTHORITY.pem)
        config.cluster["certificate-authority-data"] = encoded[:76] + "\n" + encoded[76:] + "\n"
        assert config.load().ca_pem == AUTHORITY.pem


class TestContext:
    def test_one_may_be_asked_for(self, config: Kubeconfig) -> None:
        del config.document["current-context"]
        assert config.load("x").host == "api.example.com"

    def test_none_is_current(self, config: Kubeconfig) -> None:
        config.document["current-context"] = ""
        assert config.refusal() == f"{config.path}: current-context: is not set, and no context was asked for"

    def test_unknown(self, config: Kubeconfig) -> None:
        assert config.refusal("y") == f'{config.path}: contexts: has no entry named "y"'

    @pytest.mark.parametrize("kind", ["cluster", "user"])
    def test_what_it_refers_to_is_missing(self, config: Kubeconfig, kind: str) -> None:
        config.context[kind] = "z"
        assert config.refusal() == f'{config.path}: {kind}s: has no entry named "z"'
        del config.context[kind]
        assert config.refusal() == f"{config.path}: contexts[x].context: {kind}: is not set"

    def test_two_of_one_name(self, config: Kubeconfig) -> None:
        config.document["users"].append({"name": "u", "user": {"token": "other"}})
        assert config.refusal() == f'{config.path}: users: has more than one entry named "u"'


class TestCredential:
    def test_a_token_file(self, config: Kubeconfig) -> None:
        (config.folder / "token").write_text(f"{SECRET}\n")
        config.user.clear()
        config.user["tokenFile"] = "token"
        upstream = config.load()
        assert upstream.credential == TokenFileSpec(config.folder / "token", "")
        assert isinstance(upstream.credential, TokenFileSpec)
        assert upstream.credential.token == SECRET
        assert upstream.files == (config.path,)

    def test_a_renewed_token_is_the_same_upstream(self, config: Kubeconfig) -> None:
        config.user.clear()
        config.user["tokenFile"] = "token"
        (config.folder / "token").write_text("one")
        first = config.load()
        (config.folder / "token").write_text("two")
        assert config.load() == first

    def test_the_file_counts_beside_a_token(self, config: Kubeconfig) -> None:
        (config.folder / "token").write_text("newer")
        config.user["tokenFile"] = "token"
        assert isinstance(config.load().credential, TokenFileSpec)

    def test_a_missing_token_file_is_watched(self, config: Kubeconfig) -> None:
        config.user.clear()
        config.user["tokenFile"] = "/nowhere/token"
        with pytest.raises(KubeconfigError) as caught:
            config.load()
        assert str(caught.value) == (
            f"{config.path}: users[u].user: tokenFile: cannot be read: No such file or directory"
        )
        assert caught.value.files == (config.path, Path("/nowhere/token"))

    @pytest.mark.parametrize(
        ("token", "problem"),
        [
            ("a b", "the token holds other characters than visible ASCII"),
            ("a\nb", "the token holds other characters than visible ASCII"),
            ("a\r\nImpersonate-User: x", "the token holds other characters than visible ASCII"),
            ("tökén", "the token holds other characters than visible ASCII"),
            ("a\x7f", "the token holds other characters than visible ASCII"),
            ("a" * 70_000, "the token is longer than 64 KiB"),
        ],
    )
    def test_a_token_that_cannot_be_sent(self, config: Kubeconfig, token: str, problem: str) -> None:
        config.user["token"] = token
        assert config.refusal() == f"{config.path}: users[u].user: token: {problem}"
        (config.folder / "token").write_text(token)
        config.user["tokenFile"] = "token"
        assert config.refusal() == f"{config.path}: users[u].user: tokenFile: {problem}"

    def test_an_inline_token_is_not_trimmed(self, config: Kubeconfig) -> None:
        config.user["token"] = f"{SECRET}\n"
        assert "visible ASCII" in config.refusal()

    def test_an_empty_token_file(self, config: Kubeconfig) -> None:
        (config.folder / "token").write_text(" \n")
        config.user["tokenFile"] = "token"
        assert config.refusal().endswith("tokenFile: the token is empty")

    def test_a_client_certificate_inline(self, config: Kubeconfig) -> None:
        config.user.clear()
        config.user |= {"client-certificate-data": data(OURS.cert_pem), "client-key-data": data(OURS.key_pem)}
        assert config.load().credential == ClientCertificateSpec(OURS.cert_pem, OURS.key_pem)

    def test_a_client_certificate_in_files(self, config: Kubeconfig) -> None:
        config.user.clear()
        cert, key = OURS.write(config.folder, "client")
        config.user |= {"client-certificate": "client.crt", "client-key": str(key), "client-key-data": ""}
        upstream = config.load()
        assert upstream.credential == ClientCertificateSpec(OURS.cert_pem, OURS.key_pem)
        assert upstream.files == (config.path, cert, key)

    def test_data_wins_over_files(self, config: Kubeconfig) -> None:
        config.user.clear()
        config.user |= {"client-certificate": "a", "client-certificate-data": data(OURS.cert_pem)}
        config.user |= {"client-key": "b", "client-key-data": data(OURS.key_pem)}
        assert config.load().files == (config.path,)

    @pytest.mark.parametrize(
        ("user", "problem"),
        [
            ({"client-certificate-data": data(OURS.cert_pem)}, "client-certificate and client-key must come together"),
            ({"client-key-data": data(OURS.key_pem)}, "client-certificate and client-key must come together"),
            (
                {"client-certificate-data": data(OURS.cert_pem), "client-key-data": data(OTHER.key_pem)},
                "client-key: is not the key of client-certificate",
            ),
            (
                {"client-certificate-data": data(OURS.cert_pem), "client-key-data": data(OURS.key_pem[:99])},
                "client-key: holds no readable PEM private key",
            ),
            (
                {"client-certificate-data": data("x"), "client-key-data": data(OURS.key_pem)},
                "client-certificate: holds no readable PEM certificate",
            ),
            ({}, "has no credential: token, tokenFile or client-certificate and client-key"),
            ({"token": ""}, "has no credential: token, tokenFile or client-certificate and client-key"),
            (
                {
                    "token": SECRET,
                    "client-certificate-data": data(OURS.cert_pem),
                    "client-key-data": data(OURS.key_pem),
                },
                "has both a client certificate and a token; keep one",
            ),
        ],
    )
    def test_not_exactly_one_whole_credential(self, config: Kubeconfig, user: dict[str, str], problem: str) -> None:
        config.user.clear()
        config.user |= user
        assert config.refusal() == f"{config.path}: users[u].user: {problem}"

    @pytest.mark.parametrize(
        ("key", "value", "problem"),
        [
            ("exec", {"command": "aws"}, "not supported yet: exec"),
            ("exec", {}, "not supported yet: exec"),
            ("auth-provider", {"name": "gcp"}, "auth-provider: auth-provider plugins are not supported"),
            ("username", "admin", "username: basic auth is not supported"),
            ("password", SECRET, "password: basic auth is not supported"),
            ("as", "root", "as: the proxy says itself for whom it acts; a user of the kubeconfig may not"),
            ("as-uid", "1", "as-uid: the proxy says itself for whom it acts; a user of the kubeconfig may not"),
            ("as-groups", ["g"], "as-groups: the proxy says itself for whom it acts; a user of the kubeconfig may not"),
            (
                "as-user-extra",
                {"k": ["v"]},
                "as-user-extra: the proxy says itself for whom it acts; a user of the kubeconfig may not",
            ),
        ],
    )
    def test_what_is_not_supported_is_not_ignored(
        self, config: Kubeconfig, key: str, value: object, problem: str
    ) -> None:
        config.user[key] = value
        assert config.refusal() == f"{config.path}: users[u].user: {problem}"
        config.user[key] = None
        config.load()


@pytest.mark.parametrize(("key", "value"), [("proxy-url", "http://p:3128"), ("insecure-skip-tls-verify", True)])
def test_later_issues(config: Kubeconfig, key: str, value: object) -> None:
    config.cluster[key] = value
    assert config.refusal() == f"{config.path}: clusters[c].cluster: not supported yet: {key}"


def test_verification_that_is_switched_on_is_no_matter(config: Kubeconfig) -> None:
    config.cluster |= {"insecure-skip-tls-verify": False, "proxy-url": ""}
    config.load()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda c: c.user.update(token=1234), "users[u].user: token: must be a string"),
        (lambda c: c.cluster.update(server=["a"]), "clusters[c].cluster: server: must be a string"),
        (
            lambda c: c.cluster.update({"insecure-skip-tls-verify": "true"}),
            "clusters[c].cluster: insecure-skip-tls-verify: must be true or false",
        ),
        (lambda c: c.document.update(users={"u": {}}), "users: must be a list of mappings"),
        (lambda c: c.document.update(users=["u"]), "users: must be a list of mappings"),
        (lambda c: c.document.update(users=[{"name": "u", "user": "x"}]), "users[u].user: must be a mapping"),
        (lambda c: c.document.update({"current-context": 5}), "current-context: must be a string"),
    ],
)
def test_wrong_types(config: Kubeconfig, spoil: Callable[[Kubeconfig], None], problem: str) -> None:
    spoil(config)
    assert config.refusal() == f"{config.path}: {problem}"


class TestTheFile:
    def refusal(self, path: Path, text: str | bytes) -> str:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
        with pytest.raises(KubeconfigError) as caught:
            load(path, None)
        return str(caught.value)

    def test_duplicate_keys(self, config: Kubeconfig) -> None:
        text = "users:\n- name: u\n  user:\n    token: a\n    token: b\n"
        assert self.refusal(config.path, text) == f"{config.path}:5: duplicate key 'token'"

    def test_a_syntax_error_does_not_quote_the_line(self, config: Kubeconfig) -> None:
        problem = self.refusal(config.path, f'a: b\nusers: "{SECRET}\n')
        assert problem.startswith(f"{config.path}:3: ")
        assert SECRET not in problem

    @pytest.mark.parametrize("text", ["", "- a\n", "text", "---\na: b\n---\nc: d\n", "a: !!python/object:os.x {}\n"])
    def test_something_else(self, config: Kubeconfig, text: str) -> None:
        assert self.refusal(config.path, text).startswith(f"{config.path}")

    @pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"a: \x00", b"[" * 5000, b"a: 2001-99-99\n"])
    def test_no_yaml_at_all(self, config: Kubeconfig, text: bytes) -> None:
        assert self.refusal(config.path, text).startswith(f"{config.path}")

    def test_too_large(self, config: Kubeconfig) -> None:
        assert self.refusal(config.path, b"#" * 5_000_000) == f"{config.path}: is larger than 4 MiB"

    def test_missing(self, config: Kubeconfig) -> None:
        with pytest.raises(KubeconfigError) as caught:
            load(config.path, None)
        assert str(caught.value) == f"{config.path}: cannot be read: No such file or directory"
        assert caught.value.files == (config.path,)

    def test_a_folder_or_a_fifo(self, config: Kubeconfig) -> None:
        config.path.mkdir()
        with pytest.raises(KubeconfigError, match="Is a directory"):
            load(config.path, None)
        config.path.rmdir()
        os.mkfifo(config.path)
        with pytest.raises(KubeconfigError, match="is not a regular file"):
            load(config.path, None)


class TestWhoMayWrite:
    """ "an error if others than root and the daemon's user may write the file or its folder"."""

    def refusal(self, path: Path) -> str:
        with pytest.raises(KubeconfigError) as caught:
            load(path, None)
        return str(caught.value)

    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o660])
    def test_others_may_write_the_file(self, config: Kubeconfig, mode: int) -> None:
        config.load()
        config.path.chmod(mode)
        assert self.refusal(config.path) == (
            f"{config.path}: others than root and the daemon's user may write it (chmod go-w)"
        )

    @pytest.mark.parametrize("mode", [0o720, 0o702, 0o1777])
    def test_others_may_write_the_folder(self, config: Kubeconfig, mode: int) -> None:
        config.load()
        config.folder.chmod(mode)
        assert self.refusal(config.path) == (
            f"{config.folder}: others than root and the daemon's user may write it (chmod go-w)"
        )

    @pytest.mark.parametrize("mode", [0o400, 0o444, 0o640, 0o644])
    def test_others_may_read(self, config: Kubeconfig, mode: int) -> None:
        config.load()
        config.path.chmod(mode)
        config.folder.chmod(0o755)
        load(config.path, None)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    @pytest.mark.parametrize("which", ["path", "folder"])
    def test_a_foreign_owner(self, config: Kubeconfig, which: str) -> None:
        config.load()
        foreign: Path = getattr(config, which)
        os.chown(foreign, 4711, 0)
        assert self.refusal(config.path) == f"{foreign}: belongs to another user than root and the daemon's"

    def test_behind_a_symbolic_link(self, config: Kubeconfig, tmp_path_factory: pytest.TempPathFactory) -> None:
        config.load()
        safe, loose = tmp_path_factory.mktemp("safe"), tmp_path_factory.mktemp("loose")
        (loose / "middle").symlink_to(config.path)
        (safe / "link").symlink_to(loose / "middle")
        assert load(safe / "link", None).host == "api.example.com"
        loose.chmod(0o777)
        assert self.refusal(safe / "link").startswith(f"{loose}: others")

    def test_a_folder_swapped_by_symbolic_link_as_the_kubelet_does(self, config: Kubeconfig) -> None:
        config.load()
        version = config.folder / "..2026"
        version.mkdir()
        config.path.rename(version / config.path.name)
        (config.folder / "..data").symlink_to("..2026")
        config.path.symlink_to(f"..data/{config.path.name}")
        assert load(config.path, None).files == (config.path,)

    def test_a_loop_of_links(self, config: Kubeconfig) -> None:
        config.path.symlink_to(config.path)
        assert "cannot be read" in self.refusal(config.path)
