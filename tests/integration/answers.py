"""The answer to each event, and the lines that are logged meanwhile, to the letter: answers.json.

``make answers`` renews the file.  Its difference shows what a change means for clients and operators.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

from enrollment.store.client import create_client
from enrollments.local.stack import Stack, open_stack
from tests.events import ALL, event
from tests.fixtures import PROJECT, Store

ANSWERS = Path(__file__).parent / "answers.json"
# Where a line was logged, when, and by which process.
_NOT_COMPARED = {"cold_start", "function_request_id", "location", "timestamp", "xray_trace_id"}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+|seam_cst1(?!testApp1)[A-Za-z0-9]{8}_[A-Za-z0-9]{24}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def answer(stack: Stack, log: io.StringIO, asked: dict[str, Any]) -> Any:
    """Return the answer to an event and what is logged, without what is another each time."""
    before = log.tell()
    answered = stack.invoke(asked)
    body = json.loads(answered["body"]) if "body" in answered else None
    lines = [json.loads(line) for line in log.getvalue()[before:].splitlines()]
    kept = [{name: value for name, value in line.items() if name not in _NOT_COMPARED} for line in lines]
    for line in kept:
        line.get("_aws", {}).pop("Timestamp", None)
    told = json.dumps({"answer": answered | ({} if body is None else {"body": body}), "log": kept})
    known = {*_ID.findall(json.dumps(asked)), *_ID.findall(json.dumps([*map(str, stack.demo.items.items())]))}
    told = _SECRET.sub("<secret>", told)
    told = _ID.sub(lambda match: match[0] if match[0] in known else "<new>", told)
    moments = {*_MOMENT.findall(json.dumps(asked)), *_MOMENT.findall(str(stack.demo.items))}
    return json.loads(_MOMENT.sub(lambda match: match[0] if match[0] in moments else "<now>", told))


def main() -> None:
    """Write the file anew."""
    log, answers = io.StringIO(), {}
    with open_stack(PROJECT / "template.yaml", log=log, terminal=io.StringIO()) as stack:
        store = Store(stack.table, create_client(), stack.table_name)
        for name in ALL:
            store.restore(stack.demo.items)
            answers[name] = answer(stack, log, event(name))
    ANSWERS.write_text(_text(answers))


def _text(answers: dict[str, Any]) -> str:
    """Return the file's content: an answer is a line, and so is each line that is logged."""
    named = []
    for name, told in sorted(answers.items()):
        logged = ",\n  ".join(json.dumps(line, ensure_ascii=False) for line in told["log"])
        one = json.dumps(told["answer"], ensure_ascii=False)
        named.append(f'"{name}": {{\n "answer": {one},\n "log": [\n  {logged}\n ]\n}}')
    return "{\n" + ",\n".join(named) + "\n}\n"


if __name__ == "__main__":
    main()
