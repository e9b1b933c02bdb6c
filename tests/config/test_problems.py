from __future__ import annotations

import pytest

from kubeoidcproxy.config.problems import ConfigError, Location, Problem, dotted, without_indices


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ((), ""),
        (("clusters", 0, "kubeconfig"), "clusters[0].kubeconfig"),
        (("jwt", 10, "issuer", "audiences", 1), "jwt[10].issuer.audiences[1]"),
        (("extraUserHeaders", "example.com/x", 0), "extraUserHeaders[example.com/x][0]"),
    ],
)
def test_paths(location: Location, text: str) -> None:
    assert dotted(location) == text


def test_the_name_of_a_key_has_no_indices() -> None:
    assert without_indices(("clusters", 3, "tokenRequest")) == "clusters.tokenRequest"


def test_a_problem_says_where_and_what() -> None:
    assert str(Problem("a.yaml", 3, "tls", "required")) == "a.yaml:3: tls: required"
    assert str(Problem("a.yaml", 3, "", "not UTF-8")) == "a.yaml:3: not UTF-8"


def test_a_problem_is_told_once() -> None:
    problem = Problem("a.yaml", 3, "tls", "required")
    assert ConfigError([problem, problem]).problems == (problem,)
    assert str(ConfigError([problem, problem])) == "a.yaml:3: tls: required"
