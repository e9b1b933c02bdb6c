"""The small types of the file: texts, counts, paths, URLs, DNS names."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, Strict, StringConstraints, ValidationInfo, WithJsonSchema

# RFC 1123 label and its length, as Kubernetes' IsDNS1123Label.
DNS_LABEL: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LABEL: Final = re.compile(DNS_LABEL)
_LONGEST_DNS_NAME: Final = 253

Item = TypeVar("Item")
Text = Annotated[str, Strict(), StringConstraints(min_length=1)]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=0)]


def resolve_path(value: object, info: ValidationInfo) -> Path:
    """Relative to the folder of the file that names it (the loader passes it as context)."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be a path")
    folder = (info.context or {}).get("folder")
    return Path(value) if folder is None else Path(folder) / value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not value.isprintable() or " " in value:
        raise ValueError("must be an http or https URL")
    return value


def is_dns_label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None


def is_dns_name(text: str) -> bool:
    return len(text) <= _LONGEST_DNS_NAME and all(map(is_dns_label, text.split("."))) and not _is_ip_address(text)


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _dns_label(value: str) -> str:
    if not is_dns_label(value):
        raise ValueError("must be a DNS label: at most 63 of a-z, 0-9 and '-', not at the ends")
    return value


def _server_name(value: str) -> str:
    name = value.lower()
    if not is_dns_name(name.removeprefix("*.")):
        raise ValueError('must be a DNS name, or "*." and a DNS name')
    return name


def _not_empty(value: tuple[Item, ...]) -> tuple[Item, ...]:
    if not value:
        raise ValueError("must not be empty")
    return value


# Not ``min_length``: pydantic counts the valid items only, and a faulty one would be told twice.
NonEmpty = Annotated[tuple[Item, ...], AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})]
FilePath = Annotated[Path, BeforeValidator(resolve_path), WithJsonSchema({"type": "string", "minLength": 1})]
HttpUrl = Annotated[Text, AfterValidator(_http_url)]
DNSLabel = Annotated[Text, AfterValidator(_dns_label)]
# Names arrive in SNI in any case; they are compared in lower case.
ServerName = Annotated[Text, AfterValidator(_server_name)]
