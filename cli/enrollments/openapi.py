"""The API document, from the functions' typed routes.

What a route takes and answers with is read from its handler's annotations, what it refuses from its errors; what the
gateway answers by itself is the same for all.  ``openapi.json`` is this document, committed.
"""

import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

import click
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from enrollment.api import Api, Route
from enrollment.errors import (
    EnrollmentError,
    InternalServerError,
    InvalidContentType,
    InvalidInput,
    InvalidJson,
    ServiceUnavailable,
    Unauthorized,
)
from enrollments.examples import Json, answer_examples, error_example, request_example
from enrollments.local.functions import environment
from enrollments.local.stack import lambda_environment

_REFERENCE = "#/components/schemas/{model}"
_UUID = {"type": "string", "format": "uuid"}
_BODY_VERBS = {"PATCH", "POST", "PUT"}
# In the order in which they are read.
_TAGS = {
    "user_identities/enrollment_automations": "An enrollment automation enrols a user identity with a credential "
    "manager, an access system that issues mobile credentials. One exists for each such pair.",
    "user_identities": "A user identity is a person who opens doors with a phone. It has at most one ACS user in each "
    "access system.",
    "acs/systems": "An access system opens doors, issues mobile credentials as a credential manager, or both.",
    "acs/credential_pools": "A credential manager takes mobile credentials from credential pools.",
    "acs/users": "An ACS user is a person in one access system; it can be linked to a user identity.",
}


@click.command()
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Compare this file with the document instead of printing it.",
)
def openapi(check: Path | None) -> None:
    """Print the API document (OpenAPI 3.1), made from the functions' typed routes."""
    document = json.dumps(api_document(Path()), indent=2, ensure_ascii=False) + "\n"
    if check is None:
        click.echo(document, nl=False)
    elif check.read_text() != document:
        raise click.ClickException(f"{check} is not what the code says; renew it: make openapi")


def api_document(project: Path) -> Json:
    """Return the OpenAPI 3.1 document of all functions.

    Args:
        project: The folder of ``template.yaml`` and ``functions``.
    """
    apis = _apis(project / "functions")
    routes = sorted((route for api in apis for route in api.routes.values()), key=lambda route: route.path)
    schemas = _schemas(routes)
    answers = answer_examples(project, routes)
    paths = {
        route.path: {
            method.lower(): _operation(route, method, schemas, answers[route.path]) for method in route.methods
        }
        for route in routes
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Enrollment automations",
            "version": "1.0.0",
            "description": "Enrols user identities with credential managers, and keeps what that is about: user "
            "identities, access systems, credential pools and ACS users. Every response has the header "
            "`seam-request-id`; every error is `{error: {type, message}, ok: false}`. Unknown parameters are ignored.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                _component(status): _refusals(status, [body]) for status, body in _refusals_of_every_route().items()
            },
            "headers": {
                "seam-request-id": {
                    "description": "The request's id, which the functions' logs have too.",
                    "schema": {"type": "string"},
                    "required": True,
                }
            },
            "securitySchemes": {
                "api_key": _bearer("An API key: `seam_…`; opens its workspace."),
                "pat_with_workspace": _bearer(
                    "A personal access token: `seam_at1…`; opens the workspace that the header `seam-workspace` names."
                ),
                "client_session": _bearer("A client session: `seam_cst1…`; sees its own user identities only."),
            },
        },
    }


def _apis(functions: Path) -> Iterable[Api]:
    for path in sorted(functions.glob("*/app.py")):
        spec = importlib.util.spec_from_file_location(f"{path.parent.name}_app", path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        with environment(lambda_environment() | {"TABLE_NAME": "none"}, without=("AWS_", "POWERTOOLS_")):
            spec.loader.exec_module(module)
        if isinstance(api := getattr(module, "api", None), Api):
            yield api


def _schemas(routes: Iterable[Route]) -> dict[str, Json]:
    """Return the schemas of all models by name, and of what is in them."""
    modes: dict[type[BaseModel], JsonSchemaMode] = {}
    for route in routes:
        # A request's parameters with a default can be left out; a response's are always there.
        modes |= {route.request: "validation", route.response: "serialization"}
    by_name = sorted(modes.items(), key=lambda item: item[0].__name__)
    schemas: dict[str, Json] = models_json_schema(by_name, ref_template=_REFERENCE)[1]["$defs"]
    for name, schema in schemas.items():
        is_request = name.endswith("Request")  # what is in a request is called so too
        del schema["title"]
        schema["description"] = " ".join(schema["description"].replace("``", "`").split())
        if not is_request:  # unknown parameters are ignored; an answer has what is published, and no more
            schema["additionalProperties"] = False
        for property_name, described in schema["properties"].items():
            schema["properties"][property_name] = _property(described, is_request=is_request)
    return schemas


def _property(described: Json, *, is_request: bool) -> Json:
    """Return a property's schema without what Pydantic says to itself."""
    described = {key: value for key, value in described.items() if key != "title"}
    # A default of null is how an absent parameter reads here, which JSON does not have.
    if not is_request or described.get("default", "") is None:
        described.pop("default", None)
    match described.get("anyOf"):
        case [{"type": str(name)} as one, {"type": "null"}]:
            del described["anyOf"]
            described = {**one, "type": [name, "null"], **described}
    return described


def _bearer(description: str) -> Json:
    return {"type": "http", "scheme": "bearer", "description": description}


def _operation(route: Route, method: str, schemas: Mapping[str, Json], answer: Json) -> Json:
    name, family = route.path.strip("/").replace("/", "_"), route.path.rpartition("/")[0].lstrip("/")
    if family not in _TAGS:
        raise click.ClickException(f"{route.path} is in a family that _TAGS does not describe")
    summary, _, description = (route.handler.__doc__ or "").partition("\n\n")
    operation: Json = {
        "operationId": name if method == "POST" else f"{name}_by_{method.lower()}",
        "summary": summary.strip(),
        **({"description": " ".join(description.split())} if description else {}),
        "tags": [family],
        "parameters": [_workspace_parameter()],
        "security": [{name: []} for name in _security(route)],
        "responses": _responses(route, method, answer),
    }
    if method in _BODY_VERBS:
        content = {"schema": _reference(route.request), "example": request_example(route)}
        operation["requestBody"] = {
            # No body counts as no parameters.
            "required": not {"required", "oneOf", "anyOf"}.isdisjoint(schemas[route.request.__name__]),
            "content": {"application/json": content},
        }
    else:
        operation["parameters"] += _query_parameters(route, schemas)
    return operation


def _security(route: Route) -> Sequence[str]:
    return ["api_key", "pat_with_workspace", *(["client_session"] if route.for_client_sessions else [])]


def _workspace_parameter() -> Json:
    return {
        "name": "seam-workspace",
        "in": "header",
        "required": False,
        "description": "The workspace, for a personal access token; other tokens know theirs.",
        "schema": {"type": "string"},
    }


def _query_parameters(route: Route, schemas: Mapping[str, Json]) -> list[Json]:
    schema, example = schemas[route.request.__name__], request_example(route)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", []),
            "description": parameter.get("description", ""),
            "schema": {key: value for key, value in parameter.items() if key not in {"description", "deprecated"}},
            **({"deprecated": True} if parameter.get("deprecated") else {}),
            # A page that shows the document fills examples in, and not all parameters go together.
            **({"example": example[name]} if name in example else {}),
        }
        for name, parameter in schema["properties"].items()
    ]


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _responses(route: Route, method: str, answer: Json) -> Json:
    errors: list[type[EnrollmentError]] = [InvalidInput, *route.errors]
    if method in _BODY_VERBS:
        errors += [InvalidContentType, InvalidJson]
    bodies: dict[int, list[Json]] = {}
    for error in errors:
        bodies.setdefault(error.status, []).append(error_example(error, route, method).to_json())
    bodies[400].append(_gateways_refusal("bad_request", "Bad request"))

    ok = _answer("OK", _reference(route.response), {"ok": {"value": answer}})
    refusals = {status: _refusals(status, some) for status, some in bodies.items()}
    refusals |= {
        status: {"$ref": f"#/components/responses/{_component(status)}"} for status in _refusals_of_every_route()
    }
    return {"200": ok, **{str(status): refusal for status, refusal in sorted(refusals.items())}}


def _refusals_of_every_route() -> dict[int, Json]:
    return {
        401: Unauthorized().to_json(),
        413: _gateways_refusal("request_too_large", "The request is too large"),
        429: _gateways_refusal("too_many_requests", "Too many requests"),
        500: InternalServerError().to_json(),
        503: ServiceUnavailable().to_json(),
    }


def _component(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")


def _gateways_refusal(kind: str, message: str) -> Json:
    """Return an error that API Gateway answers with by itself."""
    return {"error": {"type": kind, "message": message}, "ok": False}


def _refusals(status: int, bodies: Sequence[Json]) -> Json:
    examples = {body["error"]["type"]: {"value": body} for body in bodies}
    answer = _answer(HTTPStatus(status).phrase, _error_schema(bodies), examples)
    if status in {429, 503}:
        answer["headers"]["Retry-After"] = {"description": "Seconds to wait.", "schema": {"type": "string"}}
    return answer


def _answer(description: str, schema: Json, examples: Json) -> Json:
    content = {"schema": schema, **({"examples": examples} if examples else {})}
    return {
        "description": description,
        "headers": {"seam-request-id": {"$ref": "#/components/headers/seam-request-id"}},
        "content": {"application/json": content},
    }


def _error_schema(bodies: Sequence[Json]) -> Json:
    """Return the schema of errors like these."""
    errors = [body["error"] for body in bodies]
    error: Json = {
        "type": {"type": "string", "enum": sorted(error["type"] for error in errors)},
        "message": {"type": "string"},
    }
    if any("validation_errors" in error for error in errors):
        messages = {"type": "array", "items": {"type": "string"}}
        error["validation_errors"] = {
            "type": "object",
            "required": ["_errors"],
            "properties": {"_errors": messages},
            "additionalProperties": {
                "type": "object",
                "required": ["_errors"],
                "properties": {"_errors": messages},
            },
        }
    if ids := sorted({name for error in errors for name in error.get("data", {})}):
        error["data"] = {
            "type": "object",
            "additionalProperties": False,
            **({"required": ids} if len(ids) == 1 else {"minProperties": 1, "maxProperties": 1}),
            "properties": dict.fromkeys(ids, _UUID),
        }
    return {
        "type": "object",
        "required": ["error", "ok"],
        "additionalProperties": False,
        "properties": {
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "additionalProperties": False,
                "properties": error,
            },
            "ok": {"const": False},
        },
    }
