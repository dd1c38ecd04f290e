"""The API document by itself, and its examples in the demo workspace."""

import json
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import pytest
from jsonschema import Draft202012Validator

from enrollments.local.gateway import Request
from enrollments.local.stack import Stack
from enrollments.openapi import api_document
from tests.conftest import PROJECT

type Json = dict[str, Any]

DOCUMENT = json.loads((PROJECT / "openapi.json").read_text())
OPERATIONS = {
    (verb.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for verb, operation in operations.items()
}
# What these answer with is new each time.
NEW = {"/acs/users/create", "/user_identities/create", "/user_identities/enrollment_automations/launch"}


# All stacks in memory that are open at once have one table, which examples are read from.
@pytest.mark.usefixtures("stack")
def test_the_document_is_what_the_code_says() -> None:
    made = api_document(PROJECT)

    # Path by path, so that what differs can be read.
    assert made["paths"].keys() == DOCUMENT["paths"].keys()
    for path, operations in made["paths"].items():
        assert json.dumps(operations, indent=1) == json.dumps(DOCUMENT["paths"][path], indent=1)
    assert made == DOCUMENT


def resolved(part: Json) -> Json:
    """Return a part of the document, or what it refers to."""
    found: Json = DOCUMENT
    if "$ref" not in part:
        return part
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def validator(answer: Json) -> Draft202012Validator:
    schema = answer["content"]["application/json"]["schema"] | {"components": DOCUMENT["components"]}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def request(method: str, path: str, token: str) -> Request:
    """Return the request that an operation's examples make."""
    operation = OPERATIONS[method, path]
    headers = [("Authorization", f"Bearer {token}"), ("Host", "api.example.com")]
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        body = json.dumps(content["example"]).encode()
        return Request(method, path, [*headers, ("Content-Type", "application/json")], body)
    query = {one["name"]: one["example"] for one in operation["parameters"] if "example" in one}
    return Request(method, f"{path}?{urlencode(query, doseq=True)}", headers)


def test_every_operation_has_an_id_of_its_own() -> None:
    ids = Counter(operation["operationId"] for operation in OPERATIONS.values())

    assert set(ids.values()) == {1}


def test_every_family_of_routes_is_described() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}

    assert {tag for operation in OPERATIONS.values() for tag in operation["tags"]} == described


@pytest.mark.parametrize("model", DOCUMENT["components"]["schemas"])
def test_every_property_is_described(model: str) -> None:
    schema = DOCUMENT["components"]["schemas"][model]

    enveloped = model.endswith("Response")
    assert schema["description"]
    assert enveloped or all(property_["description"] for property_ in schema["properties"].values())


def test_what_can_be_absent_from_an_answer_is_neither_required_nor_nullable() -> None:
    schema = DOCUMENT["components"]["schemas"]["AcsUser"]

    optional = set(schema["properties"]) - set(schema["required"])
    assert optional == {
        "full_name",
        "email_address",
        "phone_number",
        "access_schedule",
        "user_identity_id",
        "user_identity_full_name",
        "user_identity_email_address",
        "user_identity_phone_number",
    }
    assert {schema["properties"][name].get("type", "object") for name in optional} == {"string", "object"}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_requests_example_works_in_the_demo_workspace(stack: Stack, method: str, path: str) -> None:
    response = stack.gateway.handle(request(method, path, stack.demo.variables["SEAM_API_KEY"]))

    body = json.loads(response.body)
    assert response.status == 200, body
    ok = OPERATIONS[method, path]["responses"]["200"]
    validator(ok).validate(body)
    example = ok["content"]["application/json"]["examples"]["ok"]["value"]
    if path in NEW:
        assert body.keys() == example.keys()
    else:
        assert without_address(body) == without_address(example)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_example_of_an_answer_is_as_its_schema_says(method: str, path: str) -> None:
    answers = [resolved(answer) for answer in OPERATIONS[method, path]["responses"].values()]

    for answer in answers:
        for example in answer["content"]["application/json"]["examples"].values():
            validator(answer).validate(example["value"])


def without_address(body: Json) -> Json:
    """Return an answer without the address of the next page, which depends on how the request came in."""
    if "pagination" not in body:
        return body
    return {**body, "pagination": {**body["pagination"], "next_page_url": ...}}
