"""What each of ``events/`` is answered with and what is logged meanwhile, to the letter: answers.json.

``make answers`` renews it; the difference is what a change means for clients and operators.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

from enrollment.store.client import create_client
from enrollments.local.stack import Stack, open_stack
from tests.fixtures import PROJECT, Store

EVENTS = PROJECT / "events"
ANSWERS = Path(__file__).parent / "answers.json"
# Where a line was logged, when, and by which process.
_NOT_COMPARED = {"cold_start", "function_request_id", "location", "timestamp", "xray_trace_id"}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def answer(stack: Stack, log: io.StringIO, event: dict[str, Any]) -> Any:
    """Return the answer to an event and what is logged, without what is another each time."""
    before = log.tell()
    answered = stack.invoke(event)
    body = json.loads(answered["body"]) if "body" in answered else None
    lines = [json.loads(line) for line in log.getvalue()[before:].splitlines()]
    kept = [{name: value for name, value in line.items() if name not in _NOT_COMPARED} for line in lines]
    for line in kept:
        line.get("_aws", {}).pop("Timestamp", None)
    told = json.dumps({"answer": answered | ({} if body is None else {"body": body}), "log": kept})
    known = {*_ID.findall(json.dumps(event)), *_ID.findall(json.dumps([*map(str, stack.demo.items.items())]))}
    told = _ID.sub(lambda match: match[0] if match[0] in known else "<new>", told)
    moments = {*_MOMENT.findall(json.dumps(event)), *_MOMENT.findall(str(stack.demo.items))}
    return json.loads(_MOMENT.sub(lambda match: match[0] if match[0] in moments else "<now>", told))


def main() -> None:
    """Write the file anew."""
    log, answers = io.StringIO(), {}
    with open_stack(PROJECT / "template.yaml", log=log, terminal=io.StringIO()) as stack:
        store = Store(stack.table, create_client(), stack.table_name)
        for path in sorted(EVENTS.glob("*.json")):
            store.restore(stack.demo.items)
            answers[path.stem] = answer(stack, log, json.loads(path.read_text()))
    ANSWERS.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
