from __future__ import annotations

import pytest

from kubeoidcproxy.config.authentication_file import judge_text
from kubeoidcproxy.config.expressions import ExpressionUse, ExpressionVerdict
from kubeoidcproxy.config.problems import Severity

HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
ISSUER = "jwt:\n- issuer: {url: https://a.test, audiences: [k]}\n  claimMappings:\n"


def lines(text: str) -> list[str]:
    return [str(problem) for problem in judge_text(text.encode(), "auth.yaml").problems]


def test_every_error_has_its_line() -> None:
    text = HEAD + (
        "jwt:\n- issuer:\n    url: http://a.test\n    audiences: []\n"
        "  claimMappings:\n    username:\n      claim: sub\n"
    )
    assert lines(text) == [
        'auth.yaml:5: jwt[0].issuer.url: Invalid value: "http://a.test": URL scheme must be https',
        "auth.yaml:6: jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required",
        "auth.yaml:9: jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set."
        " It can be set to an empty string to disable prefixing",
    ]


def test_an_unknown_field_hides_nothing() -> None:
    """Kubernetes stops at it; our contract wants all problems at once."""
    text = HEAD + "foo: 1\njwt:\n- issuer: {url: https://a.test}\n"
    assert [line.partition(" ")[0] for line in lines(text)] == ["auth.yaml:3:", "auth.yaml:5:", "auth.yaml:5:"]
    assert lines(text)[0] == 'auth.yaml:3: foo: strict decoding error: unknown field "foo"'


def test_a_wrong_type() -> None:
    text = HEAD + "jwt:\n- issuer:\n    url: https://a.test\n    audiences: kube\n"
    assert lines(text) == [
        "auth.yaml:6: jwt[0].issuer.audiences: json: cannot unmarshal string into field jwt[0].issuer.audiences"
        " of type array"
    ]


def test_a_text_that_is_no_yaml() -> None:
    assert lines(HEAD + "jwt: [\n") == ["auth.yaml:4: yaml: did not find expected node content"]


@pytest.mark.parametrize("version", ["v1", "v2", "apiserver.config.k8s.io", "apiserver.config.k8s.io/v1beta2", "", "~"])
def test_another_version(version: str) -> None:
    [line] = lines(f"kind: AuthenticationConfiguration\napiVersion: {version}\njwt: []\n")
    assert "is registered for version" in line or "'apiVersion' is missing" in line


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_the_three_versions_are_one(version: str) -> None:
    assert lines(f"kind: AuthenticationConfiguration\napiVersion: apiserver.config.k8s.io/{version}\n") == []


def test_anonymous_callers_are_refused() -> None:
    assert lines(HEAD + "anonymous:\n  enabled: true\n  conditions: [{path: /healthz}]\n") == [
        "auth.yaml:4: anonymous.enabled: Invalid value: true: no request goes on without a caller"
    ]
    assert lines(HEAD + "anonymous: {enabled: false}\n") == []


def test_an_egress_selector_is_refused() -> None:
    text = HEAD + "jwt:\n- issuer:\n    url: https://a.test\n    audiences: [k]\n    egressSelectorType: cluster\n"
    text += "  claimMappings: {username: {claim: sub, prefix: ''}}\n"
    assert lines(text) == [
        'auth.yaml:7: jwt[0].issuer.egressSelectorType: Invalid value: "cluster": there is no egress selector here'
    ]


def test_without_cel_every_expression_is_refused() -> None:
    text = (
        HEAD
        + ISSUER
        + (
            "    username: {expression: claims.sub}\n"
            "    groups: {expression: claims.groups}\n"
            "    uid: {expression: claims.sub}\n"
            "    extra:\n    - {key: a.test/b, valueExpression: claims.b}\n"
            "  claimValidationRules:\n  - {expression: claims.a == 'b'}\n"
            "  userValidationRules:\n  - {expression: 'true'}\n"
        )
    )
    assert {line.rpartition(": ")[2] for line in lines(text)} == {
        "jwt.claimMappings.username.expression",
        "jwt.claimMappings.groups.expression",
        "jwt.claimMappings.uid.expression",
        "jwt.claimMappings.extra.valueExpression",
        "jwt.claimValidationRules.expression",
        "jwt.userValidationRules.expression",
    }
    assert all(": not supported yet: " in line for line in lines(text))


def test_with_cel_each_expression_is_asked_about_with_its_use() -> None:
    asked = []

    def check(expression: str, use: ExpressionUse) -> ExpressionVerdict:
        asked.append((expression, use))
        return ExpressionVerdict("must evaluate to bool" if use is ExpressionUse.USER_RULE else None)

    text = (
        HEAD
        + ISSUER
        + (
            "    username: {expression: claims.sub}\n"
            "  claimValidationRules:\n  - {expression: claims.a == 'b'}\n"
            "  userValidationRules:\n  - {expression: user.uid}\n"
        )
    )
    [problem] = judge_text(text.encode(), "auth.yaml", check).problems
    assert str(problem) == (
        'auth.yaml:10: jwt[0].userValidationRules[0].expression: Invalid value: "user.uid": must evaluate to bool'
    )
    assert asked == [
        ("claims.a == 'b'", ExpressionUse.CLAIM_RULE),
        ("claims.sub", ExpressionUse.CLAIM_MAPPING),
        ("user.uid", ExpressionUse.USER_RULE),
    ]


def test_an_email_as_user_name_must_be_verified() -> None:
    def check(expression: str, use: ExpressionUse) -> ExpressionVerdict:
        return ExpressionVerdict(
            uses_email="claims.email" in expression, uses_email_verified="claims.email_verified" in expression
        )

    text = HEAD + ISSUER + "    username: {expression: claims.email}\n"
    [problem] = judge_text(text.encode(), "auth.yaml", check).problems
    assert "claims.email_verified must be used" in problem.message
    text += "  claimValidationRules:\n  - {expression: claims.email_verified == true}\n"
    assert judge_text(text.encode(), "auth.yaml", check).problems == ()


def test_a_second_document_is_ignored_with_a_warning() -> None:
    [problem] = judge_text((HEAD + "---\nfoo: {{\n").encode(), "auth.yaml").problems
    assert (problem.severity, problem.line) == (Severity.WARNING, 3)
