"""Drives either major of the Python SDK, each in an environment of its own.

Reads one JSON document from standard input::

    {"options": {…}, "calls": [[method, parameters, verb?], …], "fields": […]}

the options those of ``Seam``, the fields those whose messages an invalid input error is asked for.  Writes a list with
``{"result": …}`` for each call, or ``{"error": …}`` with the exception's class and what it carries.  Anything but an
error of the API ends the process.
"""

import json
import sys

from seam import Seam, SeamHttpApiError, SeamHttpInvalidInputError

# What the answer holds the result in.
KEYS = {"launch": "enrollment_automation", "get": "enrollment_automation", "list": "enrollment_automations"}


def call_method(seam, method, parameters):
    """Call as seam 1.x is used, which has a method for each route and a class for the result."""
    result = getattr(seam.user_identities.enrollment_automations, method)(**parameters)
    if isinstance(result, list):
        return [vars(automation) for automation in result]
    return None if result is None else vars(result)


def call_route(seam, method, parameters, verb="POST"):
    """Call as seam 3.x is used, which has only its HTTP client for these routes."""
    send = {"POST": seam.client.post, "GET": seam.client.get, "DELETE": seam.client.delete}[verb]
    body = send(
        f"/user_identities/enrollment_automations/{method}", **{"json" if verb == "POST" else "params": parameters}
    )
    return body[KEYS[method]] if method in KEYS else None


def describe(error, fields):
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


def main():
    task = json.load(sys.stdin)
    seam = Seam(**task["options"])
    call = call_method if hasattr(seam.user_identities, "enrollment_automations") else call_route
    outcomes = []
    for arguments in task["calls"]:
        try:
            outcomes.append({"result": call(seam, *arguments)})
        except SeamHttpApiError as error:
            outcomes.append({"error": describe(error, task["fields"])})
    json.dump(outcomes, sys.stdout)


main()
