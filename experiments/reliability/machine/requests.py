"""Calls as requests of the gateway."""

import json
from typing import Any
from urllib.parse import urlencode

from experiments.reliability.model.calls import Call, Json
from local_aws.gateway import Request


def replaced(call: Call, **parameters: Any) -> Call:
    changed = {**call.parameters, **parameters}
    return Call(call.method, call.path, changed, call.token, call.workspace)


def to_request(call: Call, target: str | None = None) -> Request:
    headers = [("Host", "localhost")]
    if call.token is not None:
        headers.append(("Authorization", f"Bearer {call.token}"))
    if call.workspace is not None:
        headers.append(("seam-workspace", call.workspace))
    if call.method in {"GET", "DELETE"}:
        query = {name: _in_query(value) for name, value in call.parameters.items()}
        return Request(call.method, target or f"{call.path}?{urlencode(query, doseq=True)}", headers)
    headers.append(("Content-Type", call.content_type))
    body = json.dumps(call.parameters) if call.is_json else "{"
    return Request(call.method, call.path, headers, body.encode())


def _in_query(value: Any) -> Any:
    if isinstance(value, bool):
        return json.dumps(value)
    return "" if value in (None, []) else value


def sort_key(record: Json) -> str:
    return json.dumps(record, sort_keys=True)
