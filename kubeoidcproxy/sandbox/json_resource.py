"""A twisted.web resource that answers with JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request

JSONAnswer = tuple[int, dict[str, Any]]


class JSONResource(Resource):
    """A leaf whose methods are functions: a request in, a status and a document out."""

    isLeaf = True

    def __init__(self, **methods: Callable[[Request], JSONAnswer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._methods = {name.encode("ascii"): answer for name, answer in methods.items()}

    def render(self, request: Request) -> bytes:
        """Implement Resource.render."""
        answer = self._methods.get(request.method)
        status, document = answer(request) if answer else (405, {"error": "invalid_request"})
        request.setResponseCode(status)
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"cache-control", b"no-store" if request.method == b"POST" else b"max-age=600")
        return json.dumps(document).encode("utf-8")
