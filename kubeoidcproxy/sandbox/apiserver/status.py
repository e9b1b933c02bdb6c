"""Errors as Kubernetes says them: ``ApiError`` and its texts, copied from apimachinery's ``api/errors``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that was wrong."""

    reason: str
    message: str
    field: str

    def as_json(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """A refusal that becomes a ``v1.Status``."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def as_status(self) -> Status:
        """The ``v1.Status`` object."""
        status: Status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message, "reason": self.reason}
        if self.details is not None:
            status["details"] = self.details
        return status | {"code": self.code}


class PlainError(Exception):
    """A refusal that Go's own HTTP server or mux makes, without a Status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def qualified(resource: str, group: str) -> str:
    """``GroupResource.String``: ``deployments.apps``."""
    return f"{resource}.{group}" if group else resource


def _details(resource: str, group: str, name: str) -> dict[str, Any]:
    return {key: value for key, value in (("name", name), ("group", group), ("kind", resource)) if value}


def not_found(resource: str, group: str, name: str) -> ApiError:
    """``NewNotFound``."""
    message = f'{qualified(resource, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, _details(resource, group, name))


def unknown_resource() -> ApiError:
    """What a known group answers to a path that it lacks."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: str, group: str, name: str) -> ApiError:
    """``NewAlreadyExists``."""
    message = f'{qualified(resource, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(resource, group, name))


def conflict(resource: str, group: str, name: str, why: str = "") -> ApiError:
    """``NewConflict``, by default with the text of a stale resourceVersion."""
    stale = "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why or stale}'
    return ApiError(409, "Conflict", message, _details(resource, group, name))


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """``NewInvalid``: one cause stands alone, several are put in brackets (``Aggregate.Error``)."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = _details(kind, group, name) | {"causes": [cause.as_json() for cause in causes]}
    return ApiError(422, "Invalid", f'{qualified(kind, group)} "{name}" is invalid: {joined}', details)


def forbidden(resource: str, group: str, name: str, why: str) -> ApiError:
    """``NewForbidden``."""
    if not resource:
        return ApiError(403, "Forbidden", f"forbidden: {why}", {})
    named = f'{qualified(resource, group)} "{name}"' if name else qualified(resource, group)
    return ApiError(403, "Forbidden", f"{named} is forbidden: {why}", _details(resource, group, name))


def bad_request(message: str) -> ApiError:
    """``NewBadRequest``."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """What the authentication filter says to everybody; the reason stays in the server."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> ApiError:
    """What kube answers to a verb that a resource lacks."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def unsupported_media_type(accepted: str) -> ApiError:
    """``NewUnsupportedMediaTypeError``."""
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return ApiError(415, "UnsupportedMediaType", message)


def not_acceptable() -> ApiError:
    """``NewNotAcceptableError``; JSON is the only form this server writes."""
    message = "406: Not Acceptable\n\nAvailable representations: application/json"
    return ApiError(406, "NotAcceptable", message, {})


def too_large(limit: int) -> ApiError:
    """``NewRequestEntityTooLargeError``."""
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(message: str) -> ApiError:
    """``NewResourceExpired``: the client lists again."""
    return ApiError(410, "Expired", message)


def internal(message: str) -> ApiError:
    """``NewInternalError``."""
    details = {"causes": [{"message": message}]}
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", details)
