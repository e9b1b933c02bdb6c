"""HTTP/1.1 on the wire: find one message in a byte stream, judge it, never rewrite a byte of it.

Sans-I/O and standard library only. Everything here is fed bytes and answers with values or
:class:`.malformed.Malformed`. A message that a strict parser could read in two ways is malformed (law 4): what we let
through, Go's net/http in the API server must read exactly as we did.

============== ======================================================================================================
malformed      the one exception, with the status code that fits
grammar        the bytes that RFC 9110 and 9112 allow, as compiled patterns
request        a request head: method, target, fields in order with their raw lines
target         which targets may go on (policy P3)
hops           what a head says about this connection alone: Connection, Upgrade, Expect (P8, P11, P12)
framing        RFC 9112 section 6.3: which bytes after a head are its body
body           where a body ends: by length, by chunks, by close
response       a response head
============== ======================================================================================================
"""
