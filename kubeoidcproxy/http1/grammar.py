"""The bytes of HTTP/1.1, as patterns on bytes.

Each pattern is linear: no two neighbouring repetitions can match the same byte.
"""

from __future__ import annotations

import re

# RFC 9110 section 5.6.2 token, less "_": a name with an underscore is an alias of another name to many a server (P6).
TOKEN = rb"[!#$%&'*+\-.^`|~0-9A-Za-z]+"

# RFC 9110 section 5.5 field-value: visible, obs-text, SP, HTAB. No other control byte, above all no CR, LF or NUL.
VALUE = rb"[\t\x20-\x7e\x80-\xff]*"

FIELDS = rb"(?:" + TOKEN + rb":" + VALUE + rb"\r\n)*"

REQUEST_LINE_1_1 = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/1\.1")

FIELD_BLOCK = re.compile(rb"(" + FIELDS + rb")\r\n")

RESPONSE_HEAD = re.compile(rb"HTTP/1\.1 ([1-9][0-9]{2})(?: (" + VALUE + rb"))?\r\n(" + FIELDS + rb")\r\n")

# A line that can only be a request line, whatever its version: tells 505 and 405 from 400.
REQUEST_LINE = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/([0-9]+)\.([0-9]+)")

# A byte no head can hold: a control byte, a LF without its CR, a CR without its LF (unless it is the last byte so far).
FORBIDDEN_IN_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")

# RFC 9112 section 3.2.1 origin-form, less " # < > \ ^ ` which no client needs raw and servers disagree about (P3).
ORIGIN_FORM = re.compile(rb"/(?:[!$&'()*+,\-./0-9:;=?@A-Z\[\]_a-z{|}~]|%[0-9A-Fa-f]{2})*")

# RFC 3986 section 3.2.2 host as Kubernetes clients send it: a name, an IPv4 or a bracketed IPv6 address; then a port.
HOST = re.compile(rb"([0-9A-Za-z](?:[0-9A-Za-z.\-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?")

CONTENT_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")

# RFC 9112 section 7.1 less extensions; 16 digits hold every length that fits into 64 bits.
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
