"""An ``AuthenticationConfiguration`` out of a file of its own, or inline out of ours: decoded, judged, located."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from kubeoidcproxy.config import kube_decode
from kubeoidcproxy.config.authentication import AuthenticationConfiguration
from kubeoidcproxy.config.document import read
from kubeoidcproxy.config.expressions import ExpressionCheck
from kubeoidcproxy.config.kube_errors import FieldError
from kubeoidcproxy.config.kube_shapes import CONFIGURATION
from kubeoidcproxy.config.kube_validate import validate
from kubeoidcproxy.config.nodes import DocumentError, Fault
from kubeoidcproxy.config.problems import Problem, Severity
from kubeoidcproxy.config.source import Source


@dataclass(frozen=True, slots=True)
class Judged:
    """:param configuration: None where it could not be decoded; to be used only where no problem is an error.
    :param source: None where the text could not even be read.
    """

    configuration: AuthenticationConfiguration | None
    problems: tuple[Problem, ...]
    source: Source | None = None


def judge_text(
    data: bytes,
    file: str,
    check_expressions: ExpressionCheck | None = None,
    *,
    disallowed_issuers: Collection[str] = (),
) -> Judged:
    """A whole file, as kube-apiserver's ``--authentication-config`` names it."""
    try:
        document = read(data)
    except DocumentError as error:
        return Judged(None, (Problem(file, error.line, "", error.message),))
    source = Source(file, document)
    judged = _judge(source, document.value, document.faults, check_expressions, disallowed_issuers)
    if document.second_document is None:
        return judged
    text = "only the first document is read, as in Kubernetes"
    ignored = Problem(file, document.second_document, "", text, Severity.WARNING)
    return Judged(judged.configuration, (*judged.problems, ignored), source)


def judge_inline(source: Source, value: Any, check_expressions: ExpressionCheck | None = None) -> Judged:
    """The part of our own file at ``source.base``. Keys given twice in it are reported with the rest of the file."""
    return _judge(source, value, (), check_expressions, ())


def _judge(
    source: Source,
    value: Any,
    faults: tuple[Fault, ...],
    check: ExpressionCheck | None,
    disallowed_issuers: Collection[str],
) -> Judged:
    configuration, errors = _decode(value, faults, source)
    if configuration is not None:
        errors += validate(configuration, check, base=source.base, disallowed_issuers=disallowed_issuers)
    return Judged(configuration, tuple(map(source.of_kube, errors)), source)


def _decode(
    value: Any, faults: tuple[Fault, ...], source: Source
) -> tuple[AuthenticationConfiguration | None, list[FieldError]]:
    try:
        kube_decode.check_type_meta(value, source.base)
    except kube_decode.Undecodable as undecodable:
        return None, [undecodable.error]
    mismatches = list(kube_decode.mismatches(value, CONFIGURATION, source.base, source.base))
    errors = [*kube_decode.strict_faults(faults), *mismatches]
    # Kubernetes stops at an unknown field; here its value is left aside and the rest is judged, so that all is told.
    decodable = all(map(kube_decode.is_strict, mismatches))
    return kube_decode.configuration(value) if decodable else None, errors
