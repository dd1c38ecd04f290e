"""The API document, from the functions' typed routes.

What a route takes and answers with is read from its handler's annotations, what it refuses from its errors; what the
gateway answers by itself is the same for all.  ``openapi.json`` is this document, committed.
"""

import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_type_hints

import click
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from enrollment.api import Api, Route
from enrollment.errors import (
    EnrollmentAutomationAlreadyExists,
    EnrollmentError,
    InternalServerError,
    InvalidContentType,
    InvalidInput,
    InvalidJson,
    ServiceUnavailable,
    Unauthorized,
)
from enrollments.local.demo import demo
from enrollments.local.functions import environment

type Json = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"
_UUID = {"type": "string", "format": "uuid"}
_BODY_VERBS = {"POST"}


@click.command()
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Compare this file with the document instead of printing it.",
)
def openapi(check: Path | None) -> None:
    """Print the API document (OpenAPI 3.1), made from the functions' typed routes."""
    document = json.dumps(api_document(Path("functions")), indent=2, ensure_ascii=False) + "\n"
    if check is None:
        click.echo(document, nl=False)
    elif check.read_text() != document:
        raise click.ClickException(f"{check} is not what the code says; renew it: make openapi")


def api_document(functions: Path) -> Json:
    """Return the OpenAPI 3.1 document of all functions.

    Args:
        functions: The folder that has a folder for each function.
    """
    routes = sorted((route for api in _apis(functions) for route in api.routes.values()), key=lambda route: route.path)
    pairs = [_models(route) for route in routes]
    # A request's parameters with a default can be left out; a response's are always there.
    modes: dict[type[BaseModel], JsonSchemaMode] = {request: "validation" for request, _ in pairs}
    modes |= {response: "serialization" for _, response in pairs}
    by_name = sorted(modes.items(), key=lambda item: item[0].__name__)
    schemas = models_json_schema(by_name, ref_template=_REFERENCE)[1]["$defs"]
    requests = {request.__name__ for request, _ in pairs}
    for name, schema in schemas.items():
        if name not in requests:  # unknown parameters are ignored; an answer has what is published, and no more
            schema["additionalProperties"] = False
        for parameter in schema["properties"].values():
            if parameter.get("default", "") is None:  # how an absent parameter reads here, which JSON does not have
                del parameter["default"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Enrollment automations",
            "version": "1.0.0",
            "description": "Enrols user identities with credential managers. Every response has the header "
            "`seam-request-id`; every error is `{error: {type, message}, ok: false}`.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": "user_identities/enrollment_automations"}],
        "paths": {
            route.path: {method.lower(): _operation(route, method, schemas) for method in route.methods}
            for route in routes
        },
        "components": {
            "schemas": schemas,
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
        with environment({"TABLE_NAME": "none", "AWS_DEFAULT_REGION": "us-east-1"}, without=("AWS_", "POWERTOOLS_")):
            spec.loader.exec_module(module)
        if isinstance(api := getattr(module, "api", None), Api):
            yield api


def _models(route: Route) -> tuple[type[BaseModel], type[BaseModel]]:
    hints = get_type_hints(route.handler)
    return hints["request"], hints["return"]


def _bearer(description: str) -> Json:
    return {"type": "http", "scheme": "bearer", "description": description}


def _operation(route: Route, method: str, schemas: Mapping[str, Json]) -> Json:
    request, response = _models(route)
    name = route.path.rpartition("/")[2]
    summary, _, description = (route.handler.__doc__ or "").partition("\n\n")
    operation: Json = {
        "operationId": name if method == "POST" else f"{name}_by_{method.lower()}",
        "summary": summary.strip(),
        "tags": [route.path.rpartition("/")[0].lstrip("/")],
        "parameters": [_workspace_parameter()],
        "security": [{name: []} for name in _security(route)],
        "responses": _responses(route, method, response),
    }
    if description.strip():
        operation["description"] = description.strip()
    if method in _BODY_VERBS:
        content = {"schema": _reference(request), "example": _example(request, schemas)}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    else:
        operation["parameters"] += _query_parameters(request, schemas)
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


def _query_parameters(request: type[BaseModel], schemas: Mapping[str, Json]) -> list[Json]:
    schema, example = schemas[request.__name__], _example(request, schemas)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", []),
            "description": parameter.get("description", ""),
            "schema": {key: value for key, value in parameter.items() if key not in {"description", "title"}},
            "example": example[name],
        }
        for name, parameter in schema["properties"].items()
    ]


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _example(request: type[BaseModel], schemas: Mapping[str, Json]) -> Json:
    """Return parameters that work in the demo workspace."""
    variables = demo().variables
    known: Json = {
        "user_identity_id": variables["USER_IDENTITY_ID"],
        "credential_manager_acs_system_id": variables["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
        "create_credential_manager_user": True,
        "enrollment_automation_id": variables["ENROLLMENT_AUTOMATION_ID"],
    }
    return {name: known[name] for name in schemas[request.__name__]["properties"] if name in known}


def _responses(route: Route, method: str, response: type[BaseModel]) -> Json:
    errors: list[type[EnrollmentError]] = [
        Unauthorized,
        InvalidInput,
        *route.errors,
        InternalServerError,
        ServiceUnavailable,
    ]
    if method in _BODY_VERBS:
        errors += [InvalidContentType, InvalidJson]
    types: dict[int, dict[str, str]] = {}
    for error in errors:
        types.setdefault(error.status, {})[error.type] = _message(error)
    # What only the gateway answers.
    types.setdefault(400, {})["bad_request"] = "Bad request"
    types[413] = {"request_too_large": "The request is too large"}
    types[429] = {"too_many_requests": "Too many requests"}

    answers = {"200": _answer("OK", _reference(response), {"ok": {"value": _response_example(response)}})}
    for status, messages in sorted(types.items()):
        examples = {
            kind: {"value": {"error": {"type": kind, "message": message, **_details_example(kind)}, "ok": False}}
            for kind, message in messages.items()
        }
        answers[str(status)] = _answer(HTTPStatus(status).phrase, _error_schema(sorted(messages)), examples)
        if status in {429, 503}:
            answers[str(status)]["headers"]["Retry-After"] = {
                "description": "Seconds to wait.",
                "schema": {"type": "string"},
            }
    return answers


def _response_example(response: type[BaseModel]) -> Json:
    """Return an answer about the automation that the demo workspace has."""
    automation = demo().automation
    known = {"enrollment_automation": automation, "enrollment_automations": [automation]}
    return response.model_validate({name: known[name] for name in response.model_fields if name in known}).model_dump()


def _message(error: type[EnrollmentError]) -> str:
    return "user_identity_id is required" if error is InvalidInput else error.message


def _details_example(kind: str) -> Json:
    if kind == InvalidInput.type:
        return InvalidInput([("user_identity_id", "Required")]).details()
    if kind == EnrollmentAutomationAlreadyExists.type:
        return EnrollmentAutomationAlreadyExists(demo().automation.enrollment_automation_id).details()
    return {}


def _answer(description: str, schema: Json, examples: Json) -> Json:
    content = {"schema": schema, **({"examples": examples} if examples else {})}
    return {
        "description": description,
        "headers": {"seam-request-id": {"$ref": "#/components/headers/seam-request-id"}},
        "content": {"application/json": content},
    }


def _error_schema(types: Sequence[str]) -> Json:
    error: Json = {"type": {"type": "string", "enum": list(types)}, "message": {"type": "string"}}
    if InvalidInput.type in types:
        error["validation_errors"] = {
            "type": "object",
            "required": ["_errors"],
            "properties": {"_errors": {"type": "array", "items": {"type": "string"}}},
            "additionalProperties": {
                "type": "object",
                "required": ["_errors"],
                "properties": {"_errors": {"type": "array", "items": {"type": "string"}}},
            },
        }
    if EnrollmentAutomationAlreadyExists.type in types:
        error["data"] = {
            "type": "object",
            "required": ["enrollment_automation_id"],
            "properties": {"enrollment_automation_id": _UUID},
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
