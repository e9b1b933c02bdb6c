"""The events of PyYAML's parser to values.

What the events mean is decided here, because PyYAML's own constructors keep the last of two equal keys, guess dates
and drop the line numbers.  Faults that leave a readable document behind (a key given twice) are collected, so that
they are told together with everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml

from kubeoidcproxy.config.nodes import Document, DocumentError, Fault, FaultKind, Node
from kubeoidcproxy.config.problems import Location
from kubeoidcproxy.config.scalars import resolve

# The deepest path of the contract and of AuthenticationConfiguration has 8 steps.
MAX_DEPTH: Final = 64
# Aliases count as what they stand for: "billion laughs" end here, as in goyaml.v2.
MAX_VALUES: Final = 200_000

_MERGE_TAGS: Final = ("", "tag:yaml.org,2002:merge")


class Composer:
    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, Node | None] = {}
        self._faults: list[Fault] = []
        self._flow_level = 0

    def document(self) -> Document:
        next(self._events)  # the start of the stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            raise DocumentError(1, "empty config data")
        root = self._node(next(self._events), ())
        next(self._events)  # the end of the document
        return Document(root, tuple(self._faults), self._second_document())

    def _second_document(self) -> int | None:
        """Kubernetes reads no further than the first document: what the next one holds is not looked at."""
        event = next(self._events)
        return None if isinstance(event, yaml.StreamEndEvent) else event.start_mark.line + 1

    def _node(self, event: Any, location: Location) -> Node:
        line = event.start_mark.line + 1
        if len(location) > MAX_DEPTH:
            raise DocumentError(line, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), line)
        if event.anchor:
            self._anchors[event.anchor] = None
        node = self._compose(event, location, line)
        if node.size > MAX_VALUES:
            raise DocumentError(line, f"holds more than {MAX_VALUES} values")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, anchor: str, line: int) -> Node:
        if anchor not in self._anchors:
            raise DocumentError(line, f"yaml: unknown anchor '{anchor}' referenced")
        node = self._anchors[anchor]
        if node is None:
            raise DocumentError(line, f"yaml: anchor '{anchor}' value contains itself")
        return Node(node.value, line, node.children, node.size)

    def _compose(self, event: Any, location: Location, line: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return Node(_scalar(event, in_flow=self._flow_level > 0), line, {})
        node = Node({} if isinstance(event, yaml.MappingStartEvent) else [], line, {})
        self._flow_level += bool(event.flow_style)
        if isinstance(event, yaml.MappingStartEvent):
            self._fill_mapping(node, location)
        else:
            self._fill_sequence(node, location)
        self._flow_level -= bool(event.flow_style)
        return node

    def _fill_sequence(self, node: Node, location: Location) -> None:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            index = len(node.value)
            child = self._node(event, (*location, index))
            node.value.append(child.value)
            self._adopt(node, index, child)

    def _fill_mapping(self, node: Node, location: Location) -> None:
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if _is_merge(event):
                self._merge(node, self._node(next(self._events), location), location, line)
                continue
            key = self._key(event, location, line)
            self._put(node, key, self._node(next(self._events), (*location, key)), location, line)

    def _key(self, event: Any, location: Location, line: int) -> str:
        key = self._node(event, location).value
        if isinstance(key, str):
            return key
        if not isinstance(key, int | float):
            raise DocumentError(line, "yaml: a key must be a string")
        # As sigs.k8s.io/yaml writes it into JSON.
        text = str(key).lower() if isinstance(key, bool) else str(key)
        self._faults.append(Fault(FaultKind.KEY_IS_NO_STRING, (*location, text), line))
        return text

    def _merge(self, node: Node, source: Node, location: Location, line: int) -> None:
        """``<<``: a key that stands in two of the mappings is given twice to Kubernetes, and so it is here."""
        for mapping in [source] if isinstance(source.value, dict) else list(source.children.values()):
            if not isinstance(mapping.value, dict):
                raise DocumentError(line, "yaml: map merge requires map or sequence of maps as the value")
            for key, child in mapping.children.items():
                self._put(node, str(key), child, location, line)
        if not isinstance(source.value, dict | list):
            raise DocumentError(line, "yaml: map merge requires map or sequence of maps as the value")

    def _put(self, node: Node, key: str, child: Node, location: Location, line: int) -> None:
        if key in node.value:
            self._faults.append(Fault(FaultKind.DUPLICATE_KEY, (*location, key), line))
        node.value[key] = child.value
        self._adopt(node, key, child)

    @staticmethod
    def _adopt(node: Node, key: str | int, child: Node) -> None:
        node.children[key] = child
        node.size += child.size


def _is_merge(event: Any) -> bool:
    return (
        isinstance(event, yaml.ScalarEvent)
        and event.value == "<<"
        and (event.tag or "") in _MERGE_TAGS
        and event.implicit[0]
    )


def _scalar(event: Any, *, in_flow: bool) -> Any:
    if in_flow and not event.style and "?" in event.value:
        # goyaml.v2 ends a plain scalar of flow style at a question mark; newer libyaml reads on.
        raise DocumentError(event.start_mark.line + 1, "yaml: did not find expected ',' or '}' (quote texts with '?')")
    try:
        value = resolve(event.value, event.tag, plain=event.implicit[0])
        return _joined_surrogates(value) if isinstance(value, str) and not value.isascii() else value
    except ValueError as error:
        raise DocumentError(event.start_mark.line + 1, f"yaml: {error}") from None


def _joined_surrogates(text: str) -> str:
    r"""JSON writes characters beyond U+FFFF as two escapes (``\ud83d\ude00``), which PyYAML leaves as two."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ValueError("half of a surrogate pair") from None
