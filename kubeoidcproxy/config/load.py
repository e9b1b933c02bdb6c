"""The way in: a path to a configuration that can be served, or every reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from kubeoidcproxy.config.authentication import AuthenticationConfiguration, StaticIssuer
from kubeoidcproxy.config.authentication_file import Judged
from kubeoidcproxy.config.document import read
from kubeoidcproxy.config.expressions import ExpressionCheck
from kubeoidcproxy.config.identity_sources import configured, repeated_issuers, static_problems
from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.named_files import NamedFiles
from kubeoidcproxy.config.nodes import DocumentError, FaultKind
from kubeoidcproxy.config.problems import ConfigError, Problem, Severity
from kubeoidcproxy.config.section import judge
from kubeoidcproxy.config.source import Source, Unreadable, read_file
from kubeoidcproxy.config.static_issuers import static_issuer
from kubeoidcproxy.config.unsupported import unsupported
from kubeoidcproxy.config.warnings import Subject, warnings_of


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration without errors.

    :param authentication: of ``configFile`` or ``config``; empty where neither is given.
    :param warnings: what is allowed and risky.
    :param files: what was read, to be watched. Serving certificates and kubeconfigs are read by others.
    """

    config: Config
    authentication: AuthenticationConfiguration
    static_issuers: tuple[StaticIssuer, ...]
    warnings: tuple[Problem, ...]
    files: tuple[Path, ...]


def load(path: Path, check_expressions: ExpressionCheck | None = None) -> Loaded:
    """:param check_expressions: judges CEL; None: no expression can be served.
    :raises ConfigError: with every problem, those of the file itself first.
    """
    source = _read(path)
    named = NamedFiles(source)
    config, problems = _judge_sections(source, path.absolute().parent)
    judged = configured(config, source, named, check_expressions)
    problems += static_problems(config, source, named, check_expressions)
    problems += repeated_issuers(config, source, judged.configuration)
    named.check_others(config)
    problems += named.problems
    problems += (source.problem(location, message) for location, message in unsupported(config))
    # The problems of an AuthenticationConfiguration stay in kube's order.
    found = [*sorted(problems, key=attrgetter("line")), *judged.problems]
    if errors := [problem for problem in found if problem.severity is Severity.ERROR]:
        raise ConfigError(errors)
    return _loaded(config, judged, source, (path.absolute(), *named.read))


def _read(path: Path) -> Source:
    try:
        document = read(read_file(path))
    except Unreadable as error:
        raise ConfigError([Problem(str(path), 1, "", str(error))]) from None
    except DocumentError as error:
        raise ConfigError([Problem(str(path), error.line, "", error.message)]) from None
    source = Source(str(path), document)
    if not isinstance(document.value, dict):
        raise ConfigError([source.problem((), "must be a mapping")])
    return source


def _judge_sections(source: Source, folder: Path) -> tuple[Config, list[Problem]]:
    config, breaches = judge(Config, source.document.value, {"folder": folder})
    problems = [source.problem(location, message) for location, message in breaches]
    for fault in source.document.faults:
        what = "given twice" if fault.kind is FaultKind.DUPLICATE_KEY else "a key must be a string: quote it"
        problem = source.problem(fault.location, what)
        problems.append(Problem(problem.file, fault.line, problem.path, what))
    if source.document.second_document is not None:
        problems.append(Problem(source.name, source.document.second_document, "", "a second document: one is expected"))
    return config, problems


def _loaded(config: Config, judged: Judged, source: Source, files: tuple[Path, ...]) -> Loaded:
    authentication = judged.configuration or AuthenticationConfiguration()
    statics = tuple(map(static_issuer, config.authentication.static_issuers))
    subject = Subject(config, source, authentication, judged.source or source, statics)
    noted = [problem for problem in judged.problems if problem.severity is Severity.WARNING]
    return Loaded(config, authentication, statics, (*noted, *warnings_of(subject)), files)
