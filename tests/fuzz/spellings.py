"""Bytes and lines that parsers disagree about, from HTTP Garden, smuggler, http-request-smuggler and our corpus."""

from __future__ import annotations

SPECIAL = [
    b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b"\v", b"\f", b"\x1c", b"\x7f", b"\x80", b"\x85", b"\xa0", b"\xff",
    b"\x01", b"\x08", b"\x1f", b"\xad", b"\xc2\xa0", b"\xe2\x84\xaa", b":", b";", b",", b"0", b"-", b"_", b'"',
]  # fmt: skip

# Fields.

FRAMING = [
    b"Transfer-Encoding: chunked", b"transfer-encoding: CHUNKED", b"Transfer-Encoding:chunked",
    b"Transfer-Encoding:\tchunked", b"Transfer-Encoding:  chunked \t", b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked", b"Transfer-Encoding\0: chunked", b" Transfer-Encoding: chunked",
    b"X: y\r\n Transfer-Encoding: chunked", b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked",
    b"Transfer-Encoding:\r\n chunked", b"Transfer-Encoding:\n chunked", b"Transfer-Encoding: identity",
    b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: chunked,", b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: chunked\x0c", b"Transfer-Encoding: \xffchunked",
    b'Transfer-Encoding: "chunked"', b"Transfer-Encoding: 'chunked'", b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: chunk", b"Transfer-Encoding:", b"Transfer_Encoding: chunked",
    b"Transfer-Encoding: \xc2\xa0chunked", b"Transfer-Encoding: chun\xe2\x84\xaaed",
    b"Transfer-Encodin\xc4\x9f: chunked", b"TE: chunked", b"Content-Encoding: chunked",
    b"Transfer.Encoding: chunked", b"Content-Length: 0", b"Content-Length: 2", b"Content-Length: 5",
    b"Content-Length: 300", b"content-length: 44", b"Content-Length: +5", b"Content-Length: -5",
    b"Content-Length: 05", b"Content-Length: 0x5", b"Content-Length: 5 5", b"Content-Length: 5, 5",
    b"Content-Length: 5,6", b"Content-Length: 5.0", b"Content-Length: 5e0", b"Content-Length: ",
    b"Content-Length: 1_0", b"Content-Length: \xb2", b"Content-Length: 5\0", b"Content-Length: 5;",
    b"Content-Length : 5", b"Content-Length\t:5", b"Content_Length: 5", b"Content-Length: 18446744073709551621",
    b"Content-Length: 4294967301", b"Content-Length: 999999999999999999", b"Content-Length: 1000000000000000000",
    b"Content-Length: 9223372036854775807", b"Content-Length: 00000000000000000000000005", b"Content-Length:\x0b5",
    b"Content-Length: 5\r\n 0", b"Content-Length: \n5",
]  # fmt: skip
IDENTITY = [
    b"Impersonate-User: admin", b"impersonate-user: admin", b"IMPERSONATE-USER:admin", b"Impersonate-User:",
    b"Impersonate-Group: system:masters", b"Impersonate-Uid: 0", b"Impersonate-Extra-Scopes: all",
    b"Impersonate-Extra-a%2fb: c", b"Impersonate-User : admin", b"Impersonate-User\t: admin",
    b"Impersonate-User\0: admin", b"Impersonate_User: admin", b"Impersonate.User: admin",
    b"Impersonate-User\xa0: admin", b" Impersonate-User: admin", b"\tImpersonate-Group: system:masters",
    b"\x0bImpersonate-User: admin", b"X-Impersonate-User: admin", b"Impersonate: admin", b"Impersonate-: admin",
    b"Impersonate-Foo: admin", b"Impersonat\xc4\x93-User: admin", b"Authorization: Bearer forged",
    b"authorization: bearer forged", b"AUTHORIZATION:Bearer forged", b"Authorization: Basic Zm9v",
    b"Authorization : Bearer forged", b"Authorization\0: Bearer forged", b"Authorization:",
    b"\xa0Authorization: Bearer forged", b"Authori\xc5\xbfation: Bearer forged",
    b"Proxy-Authorization: Bearer forged", b"X-Remote-User: admin", b"x-remote-group: system:masters",
    b"X-Remote-Extra-A: b", b"X_Remote_User: admin", b"X-Forwarded-For: 127.0.0.1",
    b"X-Forwarded-Client-Cert: By=admin", b"Forwarded: for=127.0.0.1", b"X-Real-Ip: ::1", b"Audit-ID: forged",
    b"audit-id: forged", b"Cookie: Authorization: Bearer forged",
    b"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.dG9r",
    b"Sec-WebSocket-Protocol: v4.channel.k8s.io,\tbase64url.bearer.authorization.k8s.io.dG9r",
    b"Sec-Websocket-Protocol: Base64url.Bearer.Authorization.K8s.io.dG9r", b"Host: b.k8s.example.test",
    b"Host: a.k8s.example.test", b"Host:", b"Host : a.k8s.example.test",
]  # fmt: skip
NOMINATIONS = [
    b"Connection: Impersonate-User", b"Connection: impersonate-group", b"Connection: close, Impersonate-User",
    b"Connection: Authorization", b"Connection: Content-Length", b"Connection: Transfer-Encoding",
    b"Connection: Host", b"Connection: X-Forwarded-For", b"Connection: Audit-ID", b"Connection: Upgrade",
    b"Connection: close", b"Connection: keep-alive, X-Own", b"Connection: Expect", b"Connection: Content-Type",
    b"Connection: ,,", b"Connection: TE", b"Connection: X-Remote-User", b"Connection: \0Content-Length",
    b"Connection: Content-Length\x0b", b"Connection: Cookie", b"Connection: \xa0Authorization",
    b"Connection: Sec-WebSocket-Protocol", b'Connection: "Authorization"', b"Connection: User-Agent;Authorization",
    b"Connection: X-Latin",
]  # fmt: skip
HOPS = [
    b"Expect: 100-continue", b"expect: 100-CONTINUE", b"Expect: 200-ok", b"Expect: 100-continue, 100-continue",
    b"Expect:", b"Upgrade: websocket", b"Upgrade: SPDY/3.1", b"Upgrade: h2c", b"Upgrade: websocket, h2c",
    b"Upgrade: TLS/1.0", b"HTTP2-Settings: AAMAAABkAAQAAP__", b"Proxy-Connection: close",
    b"Proxy-Connection: upgrade", b"Keep-Alive: max=1", b"Trailer: Impersonate-User", b"Trailer: X-Checksum",
    b"TE: trailers, deflate;q=0.5", b"Connection: Upgrade, close", b"Method: DELETE",
    b"X-HTTP-Method-Override: DELETE", b"X-Original-URL: /admin", b"X-A: " + b"a" * 17_000,
]  # fmt: skip

# What is put behind a line so that somebody takes the rest for another line.
FALSE_ENDS = [
    b"\n", b"\r", b"\r\r\n", b"\0", b"\v", b"\f", b"\x85", b"\xe2\x80\xa8", b"%0d%0a", b" ", b"\r\n ", b"\\r\\n",
]  # fmt: skip

# Request lines.

METHODS = [
    b"CONNECT", b"TRACE", b"get", b"Get", b"PROPFIND", b"G\0T", b"", b"POST ", b" GET", b"PRI", b"GET\t", b"\r\nGET",
    b"\nGET", b"\r\n\r\nGET", b"GETT", b"\xefGET", b"M-SEARCH", b"QUERY", b"HEAD", b"OPTIONS", b"DELETE", b"SOURCE",
]  # fmt: skip
TARGETS = [
    b"*", b"/\\", b"//{target}", b"/..%2f{target}", b"/a/../b", b"/%", b"/%zz", b"/%00", b"/%0d%0aX:%20y", b"/a b",
    b"/a\tb", b"/a#b", b"/a?b#c", b"/\xe9", b"/a\0", b"https://a.k8s.example.test{target}", b"http://x{target}",
    b"HTTPS://a.k8s.example.test", b"https://a.k8s.example.test?q", b"https://u@a.k8s.example.test{target}", b"?q",
    b"a", b"a.k8s.example.test:443", b"/[::1]{}|~", b"/a;b=c?d", b"/a?b?c=/../", b"/" + b"a" * 17_000, b"",
    b"/a?b=%zz", b"/?", b"/??", b"/:", b"///", b"/a:b@c", b"/%E2%82%AC", b"/%c0%ae", b"/a?%0d%0a", b"/'\"<>",
    b"https://a.k8s.example.test:443//x", b"https://b.k8s.example.test/x", b"/@a.k8s.example.test/",
]  # fmt: skip
VERSIONS = [
    b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/11", b"HTTP/1.1 ", b"http/1.1", b"HTTP/1.01", b"",
    b"HTTP/1", b"HTTP/1.1\r", b"HTTP/1.1\n", b"HTTP /1.1", b"ICE/1.1", b"HTTP/1.1 HTTP/1.1", b"HTTP/1.1\r\n",
    b"HTTP/01.1", b"\tHTTP/1.1",
]  # fmt: skip
BLANKS = [b"  ", b"\t", b"\x0b", b"\x0c", b"\r", b"", b" \t", b"\xa0", b"\0", b"\n"]
