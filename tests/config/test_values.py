from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from kubeoidcproxy.config import values


def judged(kind: Any, value: object, **context: object) -> Any:
    return TypeAdapter(kind).validate_python(value, context=context)


@pytest.mark.parametrize("name", ["a", "prod", "prod-1", "1", "a" * 63])
def test_dns_labels(name: str) -> None:
    assert judged(values.DNSLabel, name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a_b", "a" * 64, "ä", "a\n", 1, None])
def test_what_is_no_dns_label(name: object) -> None:
    with pytest.raises(ValidationError):
        judged(values.DNSLabel, name)


@pytest.mark.parametrize(
    ("name", "stored"), [("a.example.com", "a.example.com"), ("A.Example.com", "a.example.com"), ("*.k8s", "*.k8s")]
)
def test_server_names_are_kept_in_lower_case(name: str, stored: str) -> None:
    assert judged(values.ServerName, name) == stored


@pytest.mark.parametrize(
    "name",
    ["", "*", "*.", "a.*.com", "*.*.com", "a*.com", "a..b", "a.b.", "10.0.0.1", "::1", "a b", "a." * 127 + "com"],
)
def test_what_is_no_server_name(name: str) -> None:
    with pytest.raises(ValidationError):
        judged(values.ServerName, name)


@pytest.mark.parametrize("url", ["http://a", "https://a.b:8080/x", "http://[::1]:80", "http://127.0.0.1:1/"])
def test_urls(url: str) -> None:
    assert judged(values.HttpUrl, url) == url


@pytest.mark.parametrize(
    "url", ["", "a", "ftp://a", "http://", "http:///x", "http://a:b", "http://a b", "http://[::1", 1]
)
def test_what_is_no_url(url: object) -> None:
    with pytest.raises(ValidationError):
        judged(values.HttpUrl, url)


def test_paths_are_relative_to_the_folder_of_the_file() -> None:
    assert judged(values.FilePath, "a/b", folder=Path("/etc/x")) == Path("/etc/x/a/b")
    assert judged(values.FilePath, "../b", folder=Path("/etc/x")) == Path("/etc/x/../b")
    assert judged(values.FilePath, "/b", folder=Path("/etc/x")) == Path("/b")


@pytest.mark.parametrize("path", ["", 1, None, True, [], "a\0b"])
def test_what_is_no_path(path: object) -> None:
    with pytest.raises(ValidationError):
        judged(values.FilePath, path)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (values.Flag, 1),
        (values.Flag, "true"),
        (values.Count, True),
        (values.Count, "1"),
        (values.Count, -1),
        (values.Text, 1),
    ],
)
def test_nothing_is_coerced(kind: Any, value: object) -> None:
    with pytest.raises(ValidationError):
        judged(kind, value)
