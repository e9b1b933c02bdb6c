r"""The line of a request in the access log, without its line end (policy row "access log").

The text form is that of the kube-oidc-proxies, so that what reads their logs reads ours. They escape nothing, and a
newline or a `` / `` in a claim forges a field or a line. Here, whatever could be taken for something else is written as
``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``:

- everywhere: the backslash itself, and what :meth:`str.isprintable` says no to (controls, line separators, invisible
  and direction marks, blanks other than the space, surrogates);
- within brackets also ``[``, ``]`` and a ``/`` behind a space; in groups, and in extra also ``|``;
- in extra, where a value ends at a space and a key at ``=``, also the space, and in keys the ``=``;
- in the target, which ends at a space, the space and all beyond ASCII (no target that is let through has any).

So a reader finds the fields by ``src:[``, ``] URI:``, a space, ``inbound:[`` and ``]``, splits them at the first
`` / ``, and undoes the escapes at last.
"""

from __future__ import annotations

import re
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from time import gmtime, localtime, strftime

from kubeoidcproxy.audit.masking import masked
from kubeoidcproxy.errors import STATUS_REASONS
from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.identity import Caller, UserInfo
from kubeoidcproxy.requestinfo import request_info

_FIELD = re.compile(r"[\\\[\]]|(?<= )/")
_LIST_ITEM = re.compile(r"[\\\[\]|]|(?<= )/")
_EXTRA_KEY = re.compile(r"[\\\[\]|= ]")
_EXTRA_VALUE = re.compile(r"[\\\[\]| ]")
_REASON = re.compile(r"[\\\[]")
_PLAIN_TARGET = re.compile(r"[!-\[\]-~]*")
_PRINTABLE_TARGET = frozenset(map(chr, range(0x21, 0x7F))) - {"\\"}

# Keys of Caller.memo: what is rendered once for each token.
_TEXT = (__name__, "text")
_JSON = (__name__, "json")


def text_line(exchange: Exchange) -> str:
    """``AuSuccess`` where somebody was authenticated (whatever came of it), else ``AuFail`` with the reason."""
    origin = f"src:[{_source(exchange)}] URI:{_target(exchange.target)}"
    caller = exchange.caller
    if caller is None:
        return masked(f"[{_local_time(int(exchange.received_at))}] AuFail {origin} {_reason(exchange)}")
    inbound = caller.memo.get(_TEXT)
    if inbound is None:
        inbound = caller.memo[_TEXT] = _inbound(caller.user)
    line = masked(f"[{_local_time(int(exchange.received_at))}] AuSuccess {origin} {inbound}")
    return line if exchange.outbound is None else f"{line} {_outbound(exchange.outbound)}"


def json_line(exchange: Exchange) -> str:
    """One object, ASCII only. What is not known is ``""``, and ``status`` 0 where there was no answer."""
    seconds = int(exchange.received_at)
    caller = exchange.caller
    who = _NOBODY if caller is None else caller.memo.get(_JSON) or _remember_json(caller)
    verb, reference = _object_reference(exchange.method, exchange.upstream_target or exchange.target)
    return masked(
        f'{{"time":"{_utc_time(seconds)}.{int((exchange.received_at - seconds) * 1e6):06d}Z"'
        f',"decision":{quoted(exchange.decision)},"status":{exchange.status},"method":{quoted(exchange.method)}'
        f',"verb":{verb},"uri":{quoted(exchange.target)},"cluster":{quoted(exchange.cluster)},{who},{reference}'
        f',"source":{quoted(exchange.source)},"auditID":{quoted(exchange.audit_id)}}}'
    )


@lru_cache(maxsize=8)
def _local_time(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S%z", localtime(seconds))


@lru_cache(maxsize=8)
def _utc_time(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))


def _source(exchange: Exchange) -> str:
    if not exchange.forwarded_for:
        return f"{exchange.source} / "
    hops = [hop.strip(" \t") for value in exchange.forwarded_for for hop in value.split(",")]
    return f"{exchange.source} / {_escaped(', '.join(hop for hop in hops if hop != exchange.source), _FIELD)}"


def _target(target: str) -> str:
    if _PLAIN_TARGET.fullmatch(target):
        return target
    return "".join(c if c in _PRINTABLE_TARGET else _escape(c) for c in target)


def _reason(exchange: Exchange) -> str:
    detail = exchange.detail or STATUS_REASONS.get(exchange.status, "") or "no answer"
    return _escaped(detail, _REASON)


def _inbound(user: UserInfo) -> str:
    return f"inbound:[{_escaped(user.username, _FIELD)} / {_groups(user)} / {_extra(user)}]"


def _outbound(user: UserInfo) -> str:
    name, uid = _escaped(user.username, _FIELD), _escaped(user.uid, _FIELD)
    return f"outbound:[{name} / {_groups(user)} / {uid} / {_extra(user)}]"


def _groups(user: UserInfo) -> str:
    return "|".join([_escaped(group, _LIST_ITEM) for group in user.groups])


def _extra(user: UserInfo) -> str:
    return "".join(
        f"{_escaped(key, _EXTRA_KEY)}={'|'.join([_escaped(value, _EXTRA_VALUE) for value in values])} "
        for key, values in user.extra
    )


def _escaped(text: str, special: re.Pattern[str]) -> str:
    if text.isprintable() and not special.search(text):
        return text
    marked = special.sub(lambda found: _escape(found[0]), text)
    return "".join(c if c.isprintable() else _escape(c) for c in marked)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _identity(user: str, groups: tuple[str, ...], issuer: str) -> str:
    return f'"user":{quoted(user)},"groups":[{",".join(map(quoted, groups))}],"issuer":{quoted(issuer)}'


_NOBODY = _identity("", (), "")


def _remember_json(caller: Caller) -> str:
    rendered = caller.memo[_JSON] = _identity(caller.user.username, caller.user.groups, caller.issuer)
    return rendered


def _object_reference(method: str, target: str) -> tuple[str, str]:
    info = request_info(method, target)
    return quoted(info.verb), (
        f'"namespace":{quoted(info.namespace)},"resource":{quoted(info.resource)}'
        f',"subresource":{quoted(info.subresource)},"name":{quoted(info.name)}'
    )
