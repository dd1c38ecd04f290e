"""The API document by itself, and its examples in the demo workspace."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from jsonschema import Draft202012Validator

from enrollment.errors import EnrollmentError
from enrollments.local.stack import Stack
from enrollments.openapi import api_document
from local_aws.gateway import Request
from tests.events import event as event_of
from tests.fixtures import PROJECT
from tests.integration.answers import ANSWERS

type Json = dict[str, Any]

DOCUMENT = json.loads((PROJECT / "openapi.json").read_text())
OPERATIONS = {
    (verb.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for verb, operation in operations.items()
}
RECORDED = {name: recorded["answer"] for name, recorded in json.loads(ANSWERS.read_text()).items()}
# What every route can be answered with stands with the answers; a preflight is on no route.
REFUSED = [
    name for name, answer in RECORDED.items() if answer.get("statusCode") in {400, 404, 409} and "preflight" not in name
]
# What these answer with is new each time, or changed.
NEW = {
    "/client_sessions/create",
    "/client_sessions/get_or_create",
    "/client_sessions/grant_access",
    "/webhooks/create",
    "/acs/credentials/create",
    "/acs/credentials/update",
    "/acs/users/create",
    "/phones/simulate/create_sandbox_phone",
    "/user_identities/create",
    "/user_identities/enrollment_automations/launch",
}


# All stacks in memory that are open at once have one table, which examples are read from.
@pytest.mark.usefixtures("stack")
def test_the_document_is_what_the_code_says() -> None:
    made = api_document(PROJECT)

    # Path by path, so that what differs can be read.
    assert list(made["paths"]) == list(DOCUMENT["paths"])
    for path, operations in made["paths"].items():
        assert json.dumps(operations, indent=1) == json.dumps(DOCUMENT["paths"][path], indent=1)
    assert made == DOCUMENT


def test_the_document_starts_with_the_launch() -> None:
    assert next(iter(DOCUMENT["paths"])) == "/user_identities/enrollment_automations/launch"


def test_the_tags_are_in_the_order_of_the_paths() -> None:
    tags = dict.fromkeys(operation["tags"][0] for operation in OPERATIONS.values())

    assert [tag["name"] for tag in DOCUMENT["tags"]] == list(tags)


def resolved(part: Json) -> Json:
    """Return a part of the document, or what it refers to."""
    found: Json = DOCUMENT
    if "$ref" not in part:
        return part
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def strict(part: Any) -> Any:
    """Return a part of the document in which an answer has the properties that are named, and no other.

    The document does not say so, because clients that were generated earlier must take a property that is new.
    """
    if isinstance(part, list):
        return [strict(member) for member in part]
    if not isinstance(part, dict):
        return part
    part = {key: strict(value) for key, value in part.items()}
    return part | {"additionalProperties": False} if isinstance(part.get("properties"), dict) else part


def validator(answer: Json) -> Draft202012Validator:
    schema = strict(answer["content"]["application/json"]["schema"] | {"components": DOCUMENT["components"]})
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def request(method: str, path: str, token: str) -> Request:
    """Return the request that an operation's examples make."""
    operation = OPERATIONS[method, path]
    headers = [("Authorization", f"Bearer {token}"), ("Host", "api.example.com")]
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        body = json.dumps(content["example"]).encode()
        return Request(method, path, [*headers, ("Content-Type", "application/json")], body)
    query = {
        one["name"]: json.dumps(one["example"]) if isinstance(one["example"], bool) else one["example"]
        for one in operation["parameters"]
        if "example" in one
    }
    return Request(method, f"{path}?{urlencode(query, doseq=True)}", headers)


def schemas(part: Any, *, is_schema: bool = False) -> Iterator[Json]:
    """Yield the schemas in a part of the document, and those in them."""
    if isinstance(part, list):
        for member in part:
            yield from schemas(member, is_schema=is_schema)
    if not isinstance(part, dict):
        return
    if is_schema:
        yield part
    for key, value in part.items():
        if key in {"schemas", "properties"}:
            yield from schemas(list(value.values()), is_schema=True)
        elif key not in {"example", "examples"}:
            yield from schemas(value, is_schema=key in {"schema", "items", "additionalProperties"})


SCHEMAS = list(schemas(DOCUMENT))


def test_every_schema_is_looked_at() -> None:
    components = DOCUMENT["components"]["schemas"]

    assert all(schema in SCHEMAS for schema in components.values())
    assert all(schema in SCHEMAS for model in components.values() for schema in model.get("properties", {}).values())


def test_every_operation_has_an_id_of_its_own() -> None:
    ids = Counter(operation["operationId"] for operation in OPERATIONS.values())

    assert set(ids.values()) == {1}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/acs/credential_pools/list", "list_acs_credential_pools"),
        ("/acs/systems/get", "get_acs_system"),
        (
            "/acs/systems/list_compatible_credential_manager_acs_systems",
            "list_compatible_credential_manager_acs_systems_for_acs_system",
        ),
        ("/user_identities/add_acs_user", "add_acs_user_to_user_identity"),
        ("/user_identities/enrollment_automations/launch", "launch_enrollment_automation"),
        ("/user_identities/list_acs_users", "list_acs_users_for_user_identity"),
        ("/user_identities/remove_acs_user", "remove_acs_user_from_user_identity"),
    ],
)
def test_an_operations_id_reads_as_the_name_of_a_method(path: str, name: str) -> None:
    assert OPERATIONS["POST", path]["operationId"] == name


def test_another_verb_of_a_route_is_named_after_it() -> None:
    for (method, path), operation in OPERATIONS.items():
        name = OPERATIONS["POST", path]["operationId"]
        assert operation["operationId"] in {name, f"{name}_by_{method.lower()}"}


@pytest.mark.parametrize(
    "word", ["allOf", "anyOf", "const", "default", "if", "maxProperties", "not", "nullable", "oneOf"]
)
def test_no_schema_has_a_word_that_generators_of_clients_stumble_over(word: str) -> None:
    assert [schema for schema in SCHEMAS if word in schema] == []


def test_null_stands_beside_another_type() -> None:
    types = {json.dumps(schema["type"]) for schema in SCHEMAS if "type" in schema}

    plain = {"array", "boolean", "integer", "number", "object", "string"}
    assert types == {*(f'"{name}"' for name in plain), '["object", "null"]', '["string", "null"]'}


def test_every_schema_says_its_type_or_where_it_is() -> None:
    assert [schema for schema in SCHEMAS if "type" not in schema and "$ref" not in schema] == []


def test_an_object_with_properties_is_a_component() -> None:
    components = list(DOCUMENT["components"]["schemas"].values())

    assert [schema for schema in SCHEMAS if "properties" in schema and schema not in components] == []


def test_what_is_required_is_a_property() -> None:
    assert [
        schema for schema in SCHEMAS if not set(schema.get("required", [])) <= schema.get("properties", {}).keys()
    ] == []


def test_every_error_is_one_schema() -> None:
    of_errors = [
        resolved(answer)["content"]["application/json"]["schema"]
        for operation in OPERATIONS.values()
        for status, answer in operation["responses"].items()
        if status != "200"
    ]

    assert of_errors == [{"$ref": "#/components/schemas/ErrorResponse"}] * len(of_errors)


def test_the_type_of_an_error_is_one_of_those_that_the_functions_and_the_gateway_answer_with() -> None:
    of_gateway = set(re.findall(r'"error":\s*{"type":\s*"(\w+)"', (PROJECT / "template.yaml").read_text()))
    of_functions = {error.type for error in EnrollmentError.__subclasses__()}

    assert set(DOCUMENT["components"]["schemas"]["ErrorType"]["enum"]) == of_gateway | of_functions


@pytest.mark.parametrize("name", REFUSED)
def test_an_error_that_an_event_is_answered_with_is_among_those_of_its_route(name: str) -> None:
    event, answer = event_of(name), RECORDED[name]

    operation = OPERATIONS[event["httpMethod"], event["resource"]]

    assert str(answer["statusCode"]) in operation["responses"]
    assert f"`{answer['body']['error']['type']}` ({answer['statusCode']})" in operation["description"]


def test_a_personal_access_token_goes_with_the_workspace_that_it_enters() -> None:
    ways = OPERATIONS["POST", "/user_identities/enrollment_automations/launch"]["security"]

    assert ways == [{"api_key": []}, {"pat_with_workspace": [], "seam_workspace": []}]
    assert DOCUMENT["components"]["securitySchemes"]["seam_workspace"]["name"] == "seam-workspace"


def test_a_body_can_be_left_out_where_no_parameter_is_needed() -> None:
    optional = {
        path for (_, path), one in OPERATIONS.items() if not one.get("requestBody", {"required": True})["required"]
    }

    assert optional == {
        "/acs/credentials/list",
        "/acs/systems/list",
        "/acs/users/list",
        "/client_sessions/create",
        "/client_sessions/get",
        "/client_sessions/get_or_create",
        "/client_sessions/list",
        "/phones/list",
        "/user_identities/create",
        "/user_identities/list",
        "/webhooks/list",
        "/workspaces/get",
        "/workspaces/list",
    }


def test_a_page_cursor_is_the_last_parameter_of_a_list() -> None:
    names = [parameter["name"] for parameter in OPERATIONS["GET", "/acs/users/list"]["parameters"]]

    assert names[-2:] == ["limit", "page_cursor"]


def test_every_family_of_routes_is_described() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}

    assert {tag for operation in OPERATIONS.values() for tag in operation["tags"]} == described


@pytest.mark.parametrize("model", DOCUMENT["components"]["schemas"])
def test_every_property_is_described(model: str) -> None:
    schema = DOCUMENT["components"]["schemas"][model]

    enveloped = model.endswith("Response")
    assert schema["description"]
    assert enveloped or all(property_["description"] for property_ in schema.get("properties", {}).values())


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
    is_for_servers = {"api_key": []} in OPERATIONS[method, path]["security"]
    token = stack.demo.variables["SEAM_API_KEY" if is_for_servers else "SEAM_CLIENT_SESSION_TOKEN"]

    response = stack.gateway.handle(request(method, path, token))

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
