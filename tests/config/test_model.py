"""The rules of the contract, each by a document that breaks it once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubeoidcproxy.config.audit import STDOUT
from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.problems import dotted
from kubeoidcproxy.config.section import judge

CLUSTER = {"name": "prod", "kubeconfig": "prod.kubeconfig"}
STATIC = {
    "issuer": "urn:x",
    "audiences": ["kubernetes"],
    "certificateFile": "x.crt",
    "claimMappings": {"username": {"claim": "sub", "prefix": "x:"}},
}


def document(**changes: Any) -> dict[str, Any]:
    least: dict[str, Any] = {
        "listen": [{"address": "127.0.0.1:0"}],
        "tls": {"certificates": [{"certFile": "tls.crt", "keyFile": "tls.key"}]},
        "authentication": {"configFile": "authentication.yaml"},
        "clusters": [CLUSTER],
    }
    return {key: value for key, value in {**least, **changes}.items() if value is not ...}


def cluster(**changes: Any) -> dict[str, Any]:
    return document(clusters=[{**CLUSTER, **changes}])


def static(**changes: Any) -> dict[str, Any]:
    issuer = {key: value for key, value in {**STATIC, **changes}.items() if value is not ...}
    return document(authentication={"staticIssuers": [issuer]})


def problems(value: dict[str, Any]) -> dict[str, str]:
    return {dotted(location): message for location, message in judge(Config, value, {"folder": Path("/etc/kop")})[1]}


def test_the_least_that_works() -> None:
    config = Config.model_validate(document(), context={"folder": Path("/etc/kop")})
    assert config.clusters[0].kubeconfig == Path("/etc/kop/prod.kubeconfig")
    assert config.authentication.token_cache_ttl == 10.0
    assert config.limits.max_head_size == 65536
    assert config.audit.access_log is not None
    assert config.audit.access_log.path == STDOUT
    assert config.admin is None


def test_the_access_log_can_be_off() -> None:
    config = Config.model_validate(document(audit={"accessLog": None}))
    assert config.audit.access_log is None


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (document(listen=...), "listen"),
        (document(listen=[]), "listen"),
        (document(listen=[{"address": "nowhere"}]), "listen[0].address"),
        (document(listen=[{"address": "a:1", "proxyProtocol": True}]), "listen[0].proxyProtocol"),
        (document(trustedProxies=["10.0.0.0/99"]), "trustedProxies[0]"),
        (document(tls=...), "tls"),
        (document(tls={"certificates": []}), "tls.certificates"),
        (document(tls={"certificates": [{"certFile": "a"}]}), "tls.certificates[0].keyFile"),
        (document(tls={"certificates": [{"certFile": "a", "keyFile": "b"}], "minVersion": 1.2}), "tls.minVersion"),
        (document(tls={"certificates": [{"certFile": "a", "keyFile": "b"}], "minVersion": "1.1"}), "tls.minVersion"),
        (document(admin={"address": "systemd:x"}), "admin.address"),
        (document(workers=0), "workers"),
        (document(workers="many"), "workers"),
        (document(workers=True), "workers"),
        (document(egress={"proxyURL": "socks5://a"}), "egress.proxyURL"),
        (document(egress={"proxyURL": "http://a/b"}), "egress.proxyURL"),
        (document(log={"level": "loud"}), "log.level"),
        (document(log={"format": "xml"}), "log.format"),
        (document(authentication=...), "authentication"),
        (document(authentication={}), "authentication"),
        (document(authentication={"staticIssuers": []}), "authentication"),
        (document(authentication={"configFile": "a", "config": {}}), "authentication.config"),
        (document(authentication={"config": []}), "authentication.config"),
        (document(authentication={"configFile": "a", "tokenCacheTTL": 10}), "authentication.tokenCacheTTL"),
        (document(authentication={"configFile": "a", "keys": {"maxStale": "0s"}}), "authentication.keys.maxStale"),
        (static(issuer=...), "authentication.staticIssuers[0].issuer"),
        (static(audiences=[]), "authentication.staticIssuers[0].audiences"),
        (static(certificateFile=...), "authentication.staticIssuers[0]"),
        (static(publicKeyFile="b"), "authentication.staticIssuers[0]"),
        (static(jwksFile="b"), "authentication.staticIssuers[0]"),
        (static(signingAlgorithms=["HS256"]), "authentication.staticIssuers[0].signingAlgorithms[0]"),
        (static(signingAlgorithms=["none"]), "authentication.staticIssuers[0].signingAlgorithms[0]"),
        (static(signingAlgorithms=[]), "authentication.staticIssuers[0].signingAlgorithms"),
        (static(maxTokenAge=0), "authentication.staticIssuers[0].maxTokenAge"),
        (static(claimMappings=...), "authentication.staticIssuers[0].claimMappings"),
        (
            document(authentication={"configFile": "a", "extraUserHeaders": {"originaluser.jetstack.io-user": ["x"]}}),
            "authentication.extraUserHeaders[originaluser.jetstack.io-user]",
        ),
        (document(clusters=...), "clusters"),
        (document(clusters=[]), "clusters"),
        (document(clusters=[CLUSTER, CLUSTER]), "clusters[1].name"),
        (cluster(name="Prod"), "clusters[0].name"),
        (cluster(name="healthz"), "clusters[0].name"),
        (cluster(kubeconfig=None), "clusters[0].kubeconfig"),
        (cluster(serverNames=["10.0.0.1"]), "clusters[0].serverNames[0]"),
        (cluster(serverNames=["a.test", "A.test"]), "clusters[0].serverNames[1]"),
        (
            document(
                clusters=[{**CLUSTER, "serverNames": ["*.a"]}, {**CLUSTER, "name": "b", "serverNames": ["x", "*.A"]}]
            ),
            "clusters[1].serverNames[1]",
        ),
        (cluster(impersonation=False), "clusters[0].impersonation"),
        (cluster(authorization="both"), "clusters[0].authorization"),
        (cluster(connectTimeout="0s"), "clusters[0].connectTimeout"),
        (cluster(maxConnections=-1), "clusters[0].maxConnections"),
        (cluster(tokenRequest={}), "clusters[0].tokenRequest.serviceAccount"),
        (cluster(tokenRequest={"serviceAccount": "proxy"}), "clusters[0].tokenRequest.serviceAccount"),
        (
            cluster(tokenRequest={"serviceAccount": "a/b", "expirationSeconds": 599}),
            "clusters[0].tokenRequest.expirationSeconds",
        ),
        (document(defaultCluster="other"), "defaultCluster"),
        (document(audit={"accessLog": {"format": "csv"}}), "audit.accessLog.format"),
        (document(audit={"webhook": {"url": "collector"}}), "audit.webhook.url"),
        (document(audit={"webhook": {"mode": "blocking", "url": "https://a"}}), "audit.webhook.spoolDirectory"),
        (document(audit={"webhook": {"mode": "blocking-strict", "spoolDirectory": "s"}}), "audit.webhook.url"),
        (document(limits={"maxHeadSize": "64KB"}), "limits.maxHeadSize"),
        (document(limits={"maxHeadSize": 0}), "limits.maxHeadSize"),
        (document(limits={"headTimeout": 0}), "limits.headTimeout"),
        (document(streams={"endAtTokenExpiry": "yes"}), "streams.endAtTokenExpiry"),
        (document(unknown=1), "unknown"),
        (document(Limits={}), "Limits"),
        (document(default_cluster="prod"), "default_cluster"),
    ],
)
def test_what_the_contract_refuses(value: dict[str, Any], path: str) -> None:
    assert list(problems(value)) == [path]


@pytest.mark.parametrize(
    "value",
    [
        document(workers="auto"),
        document(trustedProxies=["10.0.0.0/8"], listen=[{"address": "a:1", "proxyProtocol": True}]),
        document(defaultCluster="prod"),
        document(defaultCluster="other", clustersDirectory="clusters.d"),
        document(clusters=..., clustersDirectory="clusters.d"),
        cluster(impersonation=False, issuers=["https://a.test"]),
        cluster(impersonation=False, authorization="proxy"),
        cluster(serverNames=["a.test", "*.a.test"]),
        static(certificateFile=..., publicKeyFile="x.pub"),
        document(limits=None, streams=None, audit=None),
        document(streams={"maxDuration": 0, "tcpKeepAlive": 0}),
        document(audit={"accessLog": {"path": None}}),
    ],
)
def test_what_it_allows(value: dict[str, Any]) -> None:
    assert problems(value) == {}
