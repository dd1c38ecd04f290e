"""Drives either major of the Python SDK, each in an environment of its own.

Reads a JSON document from each line of standard input::

    {"options": {…}, "calls": [{"route": …, "parameters": {…} | null, "verb"?: …, "pages"?: true}, …], "fields": […]}

the options those of ``Seam``, the fields those whose messages an invalid input error is asked for.  A call is made by
the SDK's method for the route; where it has none, or where a verb is given, by its HTTP client.  Without parameters
(``null``), it has no arguments beside the path.  With ``pages``, the SDK's paginator makes it, for all pages.  Writes a
line for each: a list with ``{"result": …}`` for each call, or ``{"error": …}`` with the exception's class and what it
carries.  Anything but an error of the API ends the process.
"""

import inspect
import json
import sys

import seam as sdk
from seam import Seam, SeamHttpApiError, SeamHttpInvalidInputError

# None is an absent parameter; only newer SDKs can say null.
NULL = getattr(sdk, "NULL", None)


def method_of(seam, route):
    """Return the SDK's method for a route, if it has one."""
    found = seam
    for name in route.strip("/").split("/"):
        found = getattr(found, name, None)
    return found


def client_method(seam, route, verb, *, has_parameters):
    """Return a function that calls a route as a method would, by the SDK's HTTP client."""

    def send(**parameters):
        how = "json" if verb in {"PATCH", "POST", "PUT"} else "params"
        body = getattr(seam.client, verb.lower())(route, **({how: parameters} if has_parameters else {}))
        (result,) = [value for name, value in body.items() if name not in {"ok", "pagination"}] or [None]
        return result

    return send


def make(seam, call):
    """Make a call."""
    verb = call.get("verb")
    given = call["parameters"] or {}
    method = None if verb else method_of(seam, call["route"])
    has_pages = method is not None and "page_cursor" in inspect.signature(method).parameters
    if method is None or (call.get("pages") and not has_pages):
        send = client_method(seam, call["route"], verb or "POST", has_parameters=call["parameters"] is not None)
        return with_method(seam, send, call, given)
    parameters = {name: NULL if value is None else value for name, value in given.items()}
    return with_method(seam, method, call, parameters)


def pages_by_client(seam, route, parameters):
    """Return all records of a list, by the SDK's HTTP client and the cursors of its pages."""
    records, cursor = [], None
    while True:
        body = seam.client.post(route, json={**parameters, "page_cursor": cursor})
        (page,) = [value for name, value in body.items() if name not in {"ok", "pagination"}]
        records += page
        cursor = body["pagination"]["next_page_cursor"]
        if cursor is None:
            return records


def with_method(seam, method, call, parameters):
    """Make a call with a method, or by the SDK's paginator."""
    if call.get("pages"):
        try:
            return seam.create_paginator(method, parameters).flatten_to_list()
        except ValueError:  # newer SDKs have no paginator for a list that is published without pages
            return pages_by_client(seam, call["route"], parameters)
    return method(**parameters)


def describe(error, fields):
    """Return what an error carries."""
    described = {
        "class": type(error).__name__,
        "code": error.code,
        "status_code": error.status_code,
        "message": str(error),
        "data": error.data,
        "has_request_id": bool(error.request_id),
    }
    if isinstance(error, SeamHttpInvalidInputError) and hasattr(error, "get_validation_error_messages"):
        described["validation_errors"] = {name: error.get_validation_error_messages(name) for name in fields}
    return described


def outcomes_of(task):
    """Make the calls of a task."""
    seam = Seam(**task["options"])
    outcomes = []
    for call in task["calls"]:
        try:
            outcomes.append({"result": make(seam, call)})
        except SeamHttpApiError as error:
            outcomes.append({"error": describe(error, task["fields"])})
    return outcomes


for line in sys.stdin:
    json.dump(outcomes_of(json.loads(line)), sys.stdout, default=vars)  # results are of the SDK's classes
    sys.stdout.write("\n")
    sys.stdout.flush()
