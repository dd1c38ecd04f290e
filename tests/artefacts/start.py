"""Starts a function as Lambda does, in a process that fails when anything shipped is compiled.

usage: python -I -S start.py ARTEFACTS FUNCTION [EVENT]

ARTEFACTS has the folders of ``sam build``.  Prints what the handler answers to the event, without one nothing.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

artefacts, function, *event = sys.argv[1:]


def refuse_to_compile(name, arguments):
    if name == "compile" and artefacts in str(arguments[1]):
        raise SystemExit(f"compiled from source: {arguments[1]}")


# Lambda's own order of folders: the function, its layers, Python.
sys.path[:0] = [f"{artefacts}/{part}" for part in (function, "DependenciesLayer/python", "EnrollmentLayer/python")]
sys.addaudithook(refuse_to_compile)

import app  # noqa: E402

if event:
    context = SimpleNamespace(
        function_name=function,
        function_version="1",
        memory_limit_in_mb=1024,
        invoked_function_arn=f"arn:aws:lambda:us-east-1:123456789012:function:{function}:live",
        aws_request_id="11111111-1111-4111-8111-111111111111",
        get_remaining_time_in_millis=lambda: 10_000,
    )
    answer = app.lambda_handler(json.loads(Path(event[0]).read_text()), context)
    sys.stdout.write(f"{json.dumps(answer)}\n")
