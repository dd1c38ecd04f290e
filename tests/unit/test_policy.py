from typing import Any

import pytest

from local_aws.policy import Authorization, Decision, InvalidPolicyError

ARN = "arn:aws:execute-api:us-east-1:123456789012:local/prod/POST/a/b"


def answer(*statements: dict[str, Any], **changes: Any) -> dict[str, Any]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return {"principalId": "p", "policyDocument": document, **changes}


def statement(effect: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource, **more}


@pytest.mark.parametrize("resource", [ARN, ARN.replace("POST/a/b", "*"), ARN.replace("/b", "/?"), "*"])
def test_a_named_method_is_allowed(resource: str) -> None:
    authorization = Authorization.from_answer(answer(statement("Allow", resource)))

    assert authorization.decide(ARN) is Decision.ALLOW


@pytest.mark.parametrize("resource", [ARN + "c", ARN.replace("POST", "GET"), ARN.replace("prod/", "prod."), ""])
def test_a_method_that_is_not_named_is_denied(resource: str) -> None:
    authorization = Authorization.from_answer(answer(statement("Allow", resource)))

    assert authorization.decide(ARN) is Decision.DENY


def test_a_deny_wins_over_an_allow() -> None:
    authorization = Authorization.from_answer(answer(statement("Allow", "*"), statement("Deny", ARN)))

    assert authorization.decide(ARN) is Decision.DENY


def test_a_policy_without_statements_denies() -> None:
    assert Authorization.from_answer(answer()).decide(ARN) is Decision.DENY


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        "Allow",
        {},
        {"principalId": "p"},
        answer(statement("allow", "*")),
        answer(statement("Allow", "*", Condition={})),
        answer({"Effect": "Allow", "NotAction": "x", "Resource": "*"}),
        answer(statement("Allow", "*"), principalId=None),
        answer(statement("Allow", "*"), context={"nested": {}}),
        {"principalId": "p", "policyDocument": {"Version": "2008-10-17", "Statement": []}},
    ],
)
def test_what_cannot_be_interpreted_lets_nobody_in(nonsense: Any) -> None:
    with pytest.raises(InvalidPolicyError):
        Authorization.from_answer(nonsense)
