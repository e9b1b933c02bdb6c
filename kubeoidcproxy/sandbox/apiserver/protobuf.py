"""A reader of Kubernetes' protobuf bodies, for the kinds that kubectl's typed clients post since 1.32.

Answers are JSON: clients that send protobuf accept it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from kubeoidcproxy.sandbox.apiserver.protobuf_messages import MESSAGES

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"  # the envelope of apimachinery's serializer/protobuf

_EMPTY: dict[str, Any] = {"int": None, "count": 0, "flag": False, "string": ""}


def decode(body: bytes) -> dict[str, Any]:
    """The object in an envelope, as its JSON would be; ValueError where it cannot be read."""
    if not body.startswith(_MAGIC):
        raise ValueError("expected the magic number of protobuf objects")
    envelope = _message("Unknown", body[len(_MAGIC) :])
    kind = envelope.get("type", {}).get("kind", "")
    if kind not in MESSAGES:
        raise ValueError(f"no protobuf reader for kind {kind!r}")
    return {**envelope["type"], **_message(kind, envelope.get("raw", b""))}


def _message(name: str, data: bytes) -> dict[str, Any]:
    fields = MESSAGES[name]
    read: dict[str, Any] = {}
    for number, raw in _wire_fields(data):
        if number in fields:
            _put(read, *fields[number], raw)
        elif raw not in (0, b""):  # Go writes zero values too; anything else would be lost in silence
            raise ValueError(f"no protobuf reader for field {number} of {name}")
    return read


def _put(read: dict[str, Any], field: str, type_name: str, raw: int | bytes) -> None:
    if type_name == "skip":
        return
    if type_name.startswith("[]"):
        read.setdefault(field, []).append(_value(type_name[2:], raw))
    elif type_name.startswith("{}"):
        key, value = _map_entry(type_name[2:], raw)
        read.setdefault(field, {})[key] = value
    else:
        value = _value(type_name, raw)
        if type_name not in _EMPTY or value != _EMPTY[type_name]:
            read[field] = value


def _value(type_name: str, raw: int | bytes) -> Any:
    if type_name in ("int", "count"):
        return raw
    if type_name in ("bool", "flag"):
        return bool(raw)
    if not isinstance(raw, bytes):
        raise ValueError(f"a number where {type_name} should be")
    if type_name == "string":
        return raw.decode()
    if type_name == "bytes":
        return b64encode(raw).decode()
    if type_name == "raw":
        return raw
    message = _message(type_name, raw)
    return message.get("items", []) if type_name == "ExtraValue" else message


def _map_entry(type_name: str, raw: int | bytes) -> tuple[str, Any]:
    entry = dict(_wire_fields(raw)) if isinstance(raw, bytes) else {}
    return _value("string", entry.get(1, b"")), _value(type_name, entry.get(2, b""))


def _wire_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values: varints as numbers, length-delimited ones as bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        wire_type = tag & 7
        if wire_type == 0:
            value, position = _varint(data, position)
            yield tag >> 3, value
            continue
        if wire_type != 2:
            raise ValueError(f"wire type {wire_type} is not used here")
        length, position = _varint(data, position)
        if position + length > len(data):
            raise ValueError("unexpected EOF")
        yield tag >> 3, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    raise ValueError("unexpected EOF")
