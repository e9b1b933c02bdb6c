"""Where identities come from: the ``AuthenticationConfiguration`` that is named or inline, and the static issuers."""

from __future__ import annotations

from collections.abc import Iterator

from kubeoidcproxy.config.authentication import AuthenticationConfiguration
from kubeoidcproxy.config.authentication_file import Judged, judge_inline, judge_text
from kubeoidcproxy.config.expressions import ExpressionCheck
from kubeoidcproxy.config.issuers import StaticIssuerSection
from kubeoidcproxy.config.kube_errors import duplicate
from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.named_files import NamedFiles
from kubeoidcproxy.config.problems import Location, Problem
from kubeoidcproxy.config.section import known
from kubeoidcproxy.config.source import Source
from kubeoidcproxy.config.static_issuers import static_issuer_errors

SECTION = "authentication"
_NONE = Judged(AuthenticationConfiguration(), ())


def configured(config: Config, source: Source, named: NamedFiles, check: ExpressionCheck | None) -> Judged:
    """``configFile`` or ``config``.

    :param config: what of the file is right.
    """
    section = config.__dict__.get(SECTION)
    fields = {} if section is None else section.__dict__
    if (path := fields.get("config_file")) is not None:
        data = named.content(path, (SECTION, "configFile"))
        return _NONE if data is None else judge_text(data, str(path), check)
    if (value := fields.get("config")) is not None:
        return judge_inline(Source(source.name, source.document, (SECTION, "config")), value, check)
    return _NONE


def static_problems(
    config: Config, source: Source, named: NamedFiles, check: ExpressionCheck | None
) -> Iterator[Problem]:
    for index, section in enumerate(static_sections(config)):
        place = (SECTION, "staticIssuers", index)
        yield from map(source.of_kube, static_issuer_errors(section, place, check))
        named.check_static_issuer(section, place)


def repeated_issuers(
    config: Config, source: Source, configuration: AuthenticationConfiguration | None
) -> Iterator[Problem]:
    """A token must say by its ``iss`` alone who judges it."""
    seen = {authenticator.issuer.url for authenticator in configuration.jwt} if configuration else set()
    for index, issuer in known(static_sections(config), "issuer"):
        place: Location = (SECTION, "staticIssuers", index, "issuer")
        if issuer in seen:
            yield source.of_kube(duplicate(place, issuer))
        seen.add(issuer)


def static_sections(config: Config) -> tuple[StaticIssuerSection, ...]:
    section = config.__dict__.get(SECTION)
    found: tuple[StaticIssuerSection, ...] = () if section is None else section.__dict__.get("static_issuers", ())
    return found
