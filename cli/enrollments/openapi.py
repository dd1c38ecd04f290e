"""The API document, from the functions' typed routes.

A route's parameters and answer come from its handler's annotations, and its errors from the decorator.  The errors of
the gateway itself are the same for all routes.  ``openapi.json`` is this document, committed.

Clients are generated from the document, so it is written as generators understand it.  Every object is a component with
a name, all errors are one model, there is no ``const``, ``null`` stands beside another type, and a rule over several
properties is told in words (docs/decisions/api-document.md).
"""

import importlib.util
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import click
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from enrollment.errors import (
    EnrollmentError,
    InternalServerError,
    InvalidContentType,
    InvalidInput,
    InvalidJson,
    RouteNotFound,
    ServiceUnavailable,
    Unauthorized,
)
from enrollment.http.api import Api
from enrollment.http.routes import Route
from enrollments.examples import ExampleError, Json, answer_examples, error_example, request_examples
from enrollments.failure import CommandFailed
from enrollments.local.stack import lambda_environment
from local_aws.functions import environment

_REFERENCE = "#/components/schemas/{model}"
_BODY_VERBS = {"PATCH", "POST", "PUT"}


class _Family(NamedTuple):
    """Routes whose paths differ in their last part only.

    Attributes:
        one: What they are about, in the singular; names of operations are made of it.
        many: The same in the plural, which is the name of their tag.
        description: Of the tag.
    """

    one: str
    many: str
    description: str


# By path, in the order in which they are read.
_FAMILIES = {
    "/user_identities/enrollment_automations": _Family(
        "enrollment_automation",
        "enrollment_automations",
        "An enrollment automation enrols a user identity with a credential manager, an access system that issues "
        "mobile credentials. One exists for each such pair.",
    ),
    "/user_identities": _Family(
        "user_identity",
        "user_identities",
        "A user identity is a person who opens doors with a phone. It has at most one ACS user in each access system.",
    ),
    "/acs/systems": _Family(
        "acs_system",
        "acs_systems",
        "An access system opens doors, issues mobile credentials as a credential manager, or both.",
    ),
    "/acs/credential_pools": _Family(
        "acs_credential_pool",
        "acs_credential_pools",
        "A credential manager takes mobile credentials from credential pools.",
    ),
    "/acs/users": _Family(
        "acs_user",
        "acs_users",
        "An ACS user is a person in one access system; it can be linked to a user identity.",
    ),
    "/client_sessions": _Family(
        "client_session",
        "client_sessions",
        "A client session is for an app. Its token sees what belongs to its user identities, and nothing else.",
    ),
    "/workspaces": _Family(
        "workspace",
        "workspaces",
        "A workspace is a closed area for data. For a token, nothing outside of its workspaces exists.",
    ),
    "/acs/credentials": _Family(
        "acs_credential",
        "acs_credentials",
        "A credential is a person's access at one access system, on all of the person's phones.",
    ),
    "/phones": _Family(
        "phone",
        "phones",
        "A phone is a user identity's. The app on it registers it, at each start.",
    ),
    "/phones/simulate": _Family(
        "sandbox_phone",
        "sandbox_phones",
        "In a sandbox workspace, phones can be simulated.",
    ),
    "/seam/mobile_sdk/v1/phone_sessions": _Family(
        "phone_session",
        "phone_sessions",
        "A phone session is what an app on a phone starts with: who the person is, and where the phone is registered.",
    ),
    "/webhooks": _Family(
        "webhook",
        "webhooks",
        "A webhook sends events to a URL as they happen, signed so that the receiver can tell whom they are from.",
    ),
    "/events": _Family(
        "event",
        "events",
        "An event tells that something has happened. It is there once, and only if it happened.",
    ),
}
_PREPOSITIONS = {"add": "to", "grant": "to", "list": "for", "remove": "from"}
# A reader makes something, looks at it, changes it and deletes it.
_VERBS_BEFORE_OTHERS = ("launch", "create", "get", "list", "update", "add")
_VERBS_AFTER_OTHERS = ("remove", "delete")


@click.command()
@click.option("--write", is_flag=True, help="Write the files that are made from the routes.")
@click.option("--check", is_flag=True, help="Compare those files with the routes.")
def openapi(write: bool, check: bool) -> None:  # noqa: FBT001 - click passes options so
    """Print the API document (OpenAPI 3.1), which is made from the functions' typed routes.

    With --write or --check, it is about the file openapi.json and about the authorizer's list of what client sessions
    may call.
    """
    project = Path()
    if not write and not check:
        click.echo(_document(project), nl=False)
        return
    # The list comes first: the document's examples are answered by the functions, the authorizer among them.
    for path, content_of in {
        Path("functions/authorizer/client_session_routes.json"): _client_session_routes,
        Path("openapi.json"): _document,
    }.items():
        content = content_of(project)
        if write:
            path.write_text(content)
        elif not path.is_file() or path.read_text() != content:
            raise CommandFailed(f"{path} is not what the code says; renew it: make openapi")


# The functions that are not invoked for a request.  The authorizer reads a file that is made from the routes.
_WITHOUT_ROUTES = {"authorizer", "deliveries", "events", "provisioning", "redeliveries"}


def _document(project: Path) -> str:
    try:
        return _text(api_document(project))
    except ExampleError as error:
        raise CommandFailed(error) from error


def _client_session_routes(project: Path) -> str:
    return _text([route.path for route in all_routes(project) if route.for_client_sessions])


def _text(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def api_document(project: Path) -> Json:
    """Return the OpenAPI 3.1 document of all functions.

    Args:
        project: The folder of ``template.yaml`` and ``functions``.
    """
    routes = all_routes(project)
    schemas = _schemas(routes)
    refusals = _refusals(routes)
    requests = request_examples(project, routes)
    answers = answer_examples(project, routes, requests)
    paths = {
        route.path: {
            method.lower(): _operation(route, method, schemas, requests[route.path], answers[route.path])
            for method in route.methods
        }
        for route in sorted(routes, key=reading_order)
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Enrollment automations",
            "version": version("enrollment-automations"),
            "description": "Enrols user identities with credential managers. It also keeps the user identities, access "
            "systems, credential pools and ACS users that an enrollment needs. Every response has the header "
            "`seam-request-id`; every error is an `ErrorResponse`. Unknown parameters are ignored. A route with "
            "several verbs does the same with each: POST takes parameters as JSON, GET and DELETE as a query string.",
        },
        "servers": [{"url": "/", "description": "The host that this document comes from."}],
        "tags": [{"name": family.many, "description": family.description} for family in _FAMILIES.values()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted((schemas | _error_schemas(routes, refusals)).items())),
            "responses": {_component(status): _refusal(status, bodies) for status, bodies in refusals.items()},
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
                "pat_without_workspace": _bearer(
                    "A personal access token: `seam_at1…`; this route needs no header `seam-workspace`."
                ),
                # Seam's own document has it among the schemes, too: a client sets it once, and not with each call.
                "seam_workspace": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "seam-workspace",
                    "description": "ID of the workspace, for a personal access token; other tokens know theirs.",
                },
                "client_session": _bearer("A client session: `seam_cst1…`; sees its own user identities only."),
            },
        },
    }


def all_routes(project: Path) -> list[Route]:
    """Return the routes of all functions, by path.

    Args:
        project: The folder of ``functions``.
    """
    apis = _apis(project / "functions")
    return sorted((route for api in apis for route in api.routes.values()), key=lambda route: route.path)


def reading_order(route: Route) -> tuple[int, int, str]:
    """Return the sort key of a route: routes stand in the order in which one uses them.

    Families keep the order of their descriptions.  In a family creations come first and deletions last; an action with
    a verb of its own stands between reads and deletions.

    Raises:
        click.ClickException: The route is in a family that has no description.
    """
    root, action = _family_and_action(route)
    verb = action.partition("_")[0]
    if verb in _VERBS_AFTER_OTHERS:
        rank = len(_VERBS_BEFORE_OTHERS) + 1 + _VERBS_AFTER_OTHERS.index(verb)
    elif verb in _VERBS_BEFORE_OTHERS:
        rank = _VERBS_BEFORE_OTHERS.index(verb)
    else:
        rank = len(_VERBS_BEFORE_OTHERS)
    return list(_FAMILIES).index(root), rank, action


def _family_and_action(route: Route) -> tuple[str, str]:
    root, _, action = route.path.rpartition("/")
    if root not in _FAMILIES:
        raise click.ClickException(f"{route.path} is in a family that _FAMILIES does not describe")
    return root, action


def _apis(functions: Path) -> Iterable[Api]:
    for path in sorted(functions.glob("*/app.py")):
        if path.parent.name in _WITHOUT_ROUTES:
            continue
        spec = importlib.util.spec_from_file_location(f"{path.parent.name}_app", path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        with environment(lambda_environment() | {"TABLE_NAME": "none"}, without=("AWS_", "POWERTOOLS_")):
            spec.loader.exec_module(module)
        if isinstance(api := getattr(module, "api", None), Api):
            yield api


def _schemas(routes: Iterable[Route]) -> dict[str, Json]:
    """Return the schemas of all models, and of the models inside them, by name."""
    modes: dict[type[BaseModel], JsonSchemaMode] = {}
    for route in routes:
        # A request's parameters with a default can be left out; a response's are always there.
        modes |= {route.request: "validation", route.response: "serialization"}
    by_name = sorted(modes.items(), key=lambda item: item[0].__name__)
    schemas: dict[str, Json] = models_json_schema(by_name, ref_template=_REFERENCE)[1]["$defs"]
    for schema in schemas.values():
        del schema["title"]
        schema["description"] = " ".join(schema["description"].replace("``", "`").split())
        # Clients have parameters of a query string in this order; the model of all pages has the cursor first.
        names = sorted(schema["properties"], key=lambda name: name == "page_cursor")
        schema["properties"] = {name: _property(schema["properties"][name]) for name in names}
    return schemas


def _property(described: Json) -> Json:
    """Return a property's schema in words that generators of clients know, without those that only Pydantic needs."""
    # A generator makes a property that has a default one that a client must send; descriptions tell defaults.
    described = {key: value for key, value in described.items() if key not in {"default", "title"}}
    match described.get("anyOf"):
        case [{"type": str(name)} as one, {"type": "null"}]:
            del described["anyOf"]
            described = {**one, "type": [name, "null"], **described}
    match described.pop("const", None):
        case bool(value):
            described.setdefault("description", f"Always `{json.dumps(value)}`.")
        case str(text):
            described["enum"] = [text]
    return described


def _bearer(description: str) -> Json:
    return {"type": "http", "scheme": "bearer", "description": description}


def _operation(route: Route, method: str, schemas: Mapping[str, Json], request: Json, answer: Json) -> Json:
    root, action = _family_and_action(route)
    summary, _, description = (route.handler.__doc__ or "").partition("\n\n")
    name = _name(action, _FAMILIES[root])
    operation: Json = {
        "operationId": name if method == "POST" else f"{name}_by_{method.lower()}",
        "summary": summary.strip(),
        "description": f"{' '.join(description.split())}\n\n{_told(_errors(route, method))}".strip(),
        "tags": [_FAMILIES[root].many],
        "security": _security(route),
        "responses": _responses(route, method, answer),
    }
    if method in _BODY_VERBS:
        content = {"schema": _reference(route.request), "example": request}
        operation["requestBody"] = {
            # No body counts as no parameters.
            "required": not _is_valid_empty(route.request),
            "content": {"application/json": content},
        }
    else:
        operation["parameters"] = _query_parameters(route, schemas, request)
    return operation


def _is_valid_empty(request: type[BaseModel]) -> bool:
    """Return whether a route can be called without parameters.  No schema tells: a rule may be about several."""
    try:
        request.model_validate({})
    except ValidationError:
        return False
    return True


def _name(action: str, family: _Family) -> str:
    """Return an operation's name for clients.  It must be unique in the document."""
    verb, _, what = action.partition("_")
    if what and verb in _PREPOSITIONS:
        return f"{action}_{_PREPOSITIONS[verb]}_{family.one}"
    if what == family.one:
        return action
    return f"{action}_{family.many if action == 'list' else family.one}"


def _security(route: Route) -> Sequence[Json]:
    person = ["pat_without_workspace"] if route.across_workspaces else ["pat_with_workspace", "seam_workspace"]
    servers = [["api_key"], person]
    ways = [*servers * route.for_servers, *[["client_session"]] * route.for_client_sessions]
    return [{name: [] for name in way} for way in ways]


def _query_parameters(route: Route, schemas: Mapping[str, Json], example: Json) -> list[Json]:
    schema = schemas[route.request.__name__]
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
    statuses = {error.status for error in _errors(route, method)} | _refusals_of_the_gateway().keys()
    refusals = {str(status): {"$ref": f"#/components/responses/{_component(status)}"} for status in sorted(statuses)}
    return {"200": _answer("OK", _reference(route.response), {"ok": {"value": answer}})} | refusals


def _errors(route: Route, method: str) -> Sequence[type[EnrollmentError]]:
    """Return the errors that not every route can have."""
    return [InvalidInput, *([InvalidContentType, InvalidJson] if method in _BODY_VERBS else []), *route.errors]


def _told(errors: Sequence[type[EnrollmentError]]) -> str:
    """Return errors in words, because all routes share one schema of errors."""
    by_status = sorted(errors, key=lambda error: error.status)
    return f"Errors: {', '.join(f'`{error.type}` ({error.status})' for error in by_status)}."


def _refusals(routes: Iterable[Route]) -> dict[int, Sequence[Json]]:
    """Return an example of each error by status: first the functions' errors, then the gateway's."""
    errors = {error for route in routes for method in route.methods for error in _errors(route, method)}
    errors |= {Unauthorized, RouteNotFound, InternalServerError, ServiceUnavailable}
    bodies: dict[int, list[Json]] = {}
    for error in sorted(errors, key=lambda error: (error.status, error.type)):
        bodies.setdefault(error.status, []).append(error_example(error).to_json())
    for status, (kind, message) in _refusals_of_the_gateway().items():
        if kind not in {body["error"]["type"] for body in bodies.get(status, [])}:
            bodies.setdefault(status, []).append({"error": {"type": kind, "message": message}, "ok": False})
    return dict(sorted(bodies.items()))


def _refusals_of_the_gateway() -> dict[int, tuple[str, str]]:
    """Return the errors that API Gateway itself can answer with, by status: each one's type and message."""
    return {
        400: ("bad_request", "Bad request"),
        401: (Unauthorized.type, Unauthorized.message),
        413: ("request_too_large", "The request is too large"),
        429: ("too_many_requests", "Too many requests"),
        500: (InternalServerError.type, InternalServerError.message),
        503: (ServiceUnavailable.type, ServiceUnavailable.message),
    }


def _component(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")


def _refusal(status: int, bodies: Sequence[Json]) -> Json:
    examples = {body["error"]["type"]: {"value": body} for body in bodies}
    answer = _answer(HTTPStatus(status).phrase, {"$ref": _REFERENCE.format(model="ErrorResponse")}, examples)
    if status in {429, 503}:
        answer["headers"]["Retry-After"] = {"description": "Seconds to wait.", "schema": {"type": "string"}}
    return answer


def _answer(description: str, schema: Json, examples: Json) -> Json:
    return {
        "description": description,
        "headers": {"seam-request-id": {"$ref": "#/components/headers/seam-request-id"}},
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }


def _error_schemas(routes: Iterable[Route], refusals: Mapping[int, Sequence[Json]]) -> dict[str, Json]:
    """Return the schemas of all errors by name; every route has the same."""
    errors = [body["error"] for bodies in refusals.values() for body in bodies]
    messages = {"type": "array", "items": {"type": "string"}}
    return {
        "ErrorResponse": _object(
            "What a request is answered with that is refused.",
            required=["error", "ok"],
            error={"$ref": _REFERENCE.format(model="ErrorDetails"), "description": "What is wrong."},
            ok={"type": "boolean", "description": "Always `false`."},
        ),
        "ErrorDetails": _object(
            "What is wrong with a request.",
            required=["type", "message"],
            type={"$ref": _REFERENCE.format(model="ErrorType"), "description": "The error's name, for programs."},
            message={"type": "string", "description": "The error, for people."},
            validation_errors={
                "$ref": _REFERENCE.format(model="ValidationErrors"),
                "description": "What is wrong with each parameter; there with `invalid_input`.",
            },
            data={
                "$ref": _REFERENCE.format(model="ErrorData"),
                "description": "What stands in the way; there with errors that name it.",
            },
        ),
        "ErrorType": {
            "type": "string",
            "description": "The error's name. The description of a route says which ones it can have, and each status "
            "has examples.",
            "enum": sorted({error["type"] for error in errors}),
        },
        # By name: generators make something untyped of a map that has a property, too.
        "ValidationErrors": _object(
            "What is wrong with each parameter, by its name.",
            required=["_errors"],
            _errors={**messages, "description": "Rules over several parameters that are broken."},
            **{
                name: {"$ref": _REFERENCE.format(model="FieldErrors"), "description": f"What is wrong with `{name}`."}
                for name in sorted({name for route in routes for name in route.request.model_fields})
            },
        ),
        "FieldErrors": _object(
            "What is wrong with one parameter.",
            required=["_errors"],
            _errors={**messages, "description": "Messages, for people."},
        ),
        "ErrorData": _object(
            "What stands in the way.",
            **{
                name: {"type": "string", "format": "uuid", "description": f"Its ID, if it is {words}."}
                for name, words in {
                    "enrollment_automation_id": "an enrollment automation",
                    "user_identity_id": "a user identity",
                }.items()
            },
        ),
    }


def _object(description: str, *, required: Collection[str] = (), **properties: Json) -> Json:
    return {
        "type": "object",
        "description": description,
        **({"required": list(required)} if required else {}),
        "properties": properties,
    }
