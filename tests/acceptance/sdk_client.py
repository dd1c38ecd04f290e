"""Drives the Python SDK, in an environment of its own.

Reads one JSON document from standard input: ``{"options": {…}, "calls": [[method, parameters], …]}``, the options
those of ``Seam``.  Writes for each call ``{"result": …}``, or ``{"error": …}`` with the exception's class and what it
carries.
"""

import json
import sys

from seam import Seam, SeamHttpApiError


def describe(error):
    return {
        "class": type(error).__name__,
        "code": error.code,
        "status_code": error.status_code,
        "message": str(error),
        "data": error.data,
        "has_request_id": bool(error.request_id),
    }


def main():
    task = json.load(sys.stdin)
    automations = Seam(**task["options"]).user_identities.enrollment_automations
    outcomes = []
    for method, parameters in task["calls"]:
        try:
            outcomes.append({"result": vars(getattr(automations, method)(**parameters))})
        except SeamHttpApiError as error:
            outcomes.append({"error": describe(error)})
    json.dump(outcomes, sys.stdout)


main()
