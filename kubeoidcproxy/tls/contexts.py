"""What the two sides of the proxy have in common. Groups are left as OpenSSL has them, post-quantum ones included."""

from __future__ import annotations

from OpenSSL import SSL

MIN_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

# All of them are forward secret and authenticated (RFC 9325 §4.2). AES-128 comes first: it costs us the least, and
# its SHA-256 is what CPUs have instructions for.
_SUITES_12 = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_SUITES_13 = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

# SSL_OP_PRIORITIZE_CHACHA (openssl/ssl.h, bit 21), which pyOpenSSL does not name: under server preference, a client
# that puts ChaCha20 first has no AES instructions, and gets ChaCha20.
_OP_PRIORITIZE_CHACHA = 1 << 21

# Every option is on every context: SSL_set_SSL_CTX, with which SNI changes the certificate, leaves the options,
# versions and ciphers of the connection as the first context set them.
_OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_NO_RENEGOTIATION
    | SSL.OP_NO_TICKET
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | _OP_PRIORITIZE_CHACHA
)


def new_context(min_version: str) -> SSL.Context:
    """A context for either side, without certificates and without trust."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(MIN_VERSIONS[min_version])
    context.set_cipher_list(_SUITES_12)
    context.set_tls13_ciphersuites(_SUITES_13)
    context.set_options(_OPTIONS)
    # With tickets off, TLS 1.3 still sends stateful ones; without a cache behind them no session is ever resumed.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # An idle watch holds two of these connections for hours: 45 KiB become 26.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context
