"""A TLS 1.3 client that writes its own records (RFC 8446 §5, §7): what no TLS library would send, or not so."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HANDSHAKE, APPLICATION_DATA, ALERT = 22, 23, 21
KEY_UPDATE = 24
CLOSE_NOTIFY = b"\x01\x00"


class Keys:
    """The traffic keys of one direction, for TLS_AES_128_GCM_SHA256."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._sequence = 0
        self._aead = AESGCM(_expand(secret, "key", 16))
        self._iv = _expand(secret, "iv", 12)

    def seal(self, kind: int, data: bytes, padding: int = 0) -> bytes:
        """One record."""
        inner = data + bytes([kind]) + bytes(padding)
        header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        nonce = (int.from_bytes(self._iv, "big") ^ self._sequence).to_bytes(12, "big")
        self._sequence += 1
        return header + self._aead.encrypt(nonce, inner, header)

    def key_update(self, *, answer: bool) -> bytes:
        """The record that announces the next keys; they are in use from then on."""
        record = self.seal(HANDSHAKE, bytes([KEY_UPDATE, 0, 0, 1, answer]))
        self.__init__(_expand(self._secret, "traffic upd", 32))  # type: ignore[misc]
        return record


class RecordClient:
    """A connection after its handshake, which the standard library made; what is sent from then on is up to us.

    :param folder: for the key log.
    :param wait: lets the server work.
    """

    def __init__(self, plain: socket.socket, folder: Path, wait: Callable[[], object]) -> None:
        self.plain = plain
        self._wait = wait
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        keys = folder / "keys"
        context.keylog_filename = str(keys)
        self.reader = context.wrap_bio(self._incoming, self._outgoing, server_hostname="prod.example.com")
        self._shake_hands()
        secrets = dict(line.rsplit(" ", 1) for line in keys.read_text().splitlines() if line[0] != "#")
        (label,) = (label for label in secrets if label.startswith("CLIENT_TRAFFIC_SECRET_0"))
        self.keys = Keys(bytes.fromhex(secrets[label]))

    def _shake_hands(self) -> None:
        while True:
            try:
                self.reader.do_handshake()
            except ssl.SSLWantReadError:
                self.plain.sendall(self._outgoing.read())
                self._incoming.write(self._receive())
            else:
                self.plain.sendall(self._outgoing.read())
                self._wait()
                return

    def _receive(self) -> bytes:
        self._wait()
        return self.plain.recv(65536)

    def data(self, data: bytes, padding: int = 0) -> bytes:
        """One record of application data."""
        return self.keys.seal(APPLICATION_DATA, data, padding)

    def send(self, *records: bytes) -> None:
        """All in one piece."""
        self.plain.sendall(b"".join(records))
        self._wait()

    def read(self) -> bytes:
        """Some application data of the server, whatever else comes with it; b"" is a close_notify."""
        while True:
            try:
                return self.reader.read(65536)
            except ssl.SSLWantReadError:
                data = self._receive()
                self._incoming.write(data) if data else self._incoming.write_eof()


def _expand(secret: bytes, label: str, length: int) -> bytes:
    """HKDF-Expand-Label with an empty context and one block of output (RFC 8446 §7.1)."""
    full = b"tls13 " + label.encode()
    info = length.to_bytes(2, "big") + bytes([len(full)]) + full + b"\0"
    return hmac.digest(secret, info + b"\1", hashlib.sha256)[:length]
