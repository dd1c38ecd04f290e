"""The document for authors of connectors: its examples are valid, and its schema is what the code says."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from standardwebhooks import Webhook

from enrollment.managers.protocol import Reason, RequestType, State
from enrollment.managers.published import EXCHANGES, protocol_schema

type Json = dict[str, Any]


@pytest.fixture(scope="module")
def text(project: Path) -> str:
    return (project / "docs" / "connector.md").read_text()


def examples(text: str) -> Iterator[tuple[Json, list[Json]]]:
    """Yield each request with the answers that stand below it."""
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    starts = [index for index, block in enumerate(blocks) if "data" in block]
    for start, end in zip(starts, [*starts[1:], len(blocks)], strict=True):
        yield blocks[start], blocks[start + 1 : end]


def validator_of(reference: Json) -> Draft202012Validator:
    schema = {**protocol_schema(), "oneOf": [reference]}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_every_request_has_an_example_with_an_answer(text: str) -> None:
    answered = {request["type"] for request, answers in examples(text) if answers}

    assert answered == set(RequestType)


def test_examples_are_valid_by_the_schema(text: str) -> None:
    for request, answers in examples(text):
        definition = EXCHANGES[RequestType(request["type"])].request.__name__
        validator_of({"$ref": f"#/$defs/{definition}"}).validate(request)
        for answer in answers:
            validator_of(protocol_schema()["$defs"][definition]["x-answer"]).validate(answer)


def test_examples_have_nothing_that_the_models_do_not_know(text: str) -> None:
    for request, answers in examples(text):
        exchange = EXCHANGES[RequestType(request["type"])]
        exchange.request.model_validate(request, extra="forbid")
        for answer in answers:
            exchange.answer.model_validate(answer, extra="forbid")


def test_the_example_of_a_signature_is_right(text: str) -> None:
    cells = dict(re.findall(r"^\| `?([\w -]+?)`? \| `([^`]+)`", text, re.MULTILINE))

    at = datetime.fromtimestamp(int(cells["webhook-timestamp"]), UTC)
    signed = Webhook(cells["secret"]).sign(cells["webhook-id"], at, cells["body"])

    assert signed == cells["webhook-signature"]


@pytest.mark.parametrize("word", [*State, *Reason, *RequestType])
def test_every_word_of_the_protocol_has_a_row(text: str, word: str) -> None:
    assert re.search(rf"^\| `{re.escape(word)}` \|", text, re.MULTILINE)


def test_every_field_is_explained(text: str) -> None:
    fields = {name for each in protocol_schema()["$defs"].values() for name in each.get("properties", {})}

    assert [name for name in sorted(fields) if not re.search(rf"`[\w.]*\.?{name}`", text)] == []


def test_every_link_leads_to_a_heading(text: str) -> None:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_the_schema_in_the_documents_is_what_the_code_says(project: Path) -> None:
    assert json.loads((project / "docs" / "connector.schema.json").read_text()) == protocol_schema()


def test_an_answer_may_have_more_than_is_known() -> None:
    answer = {"state": "failed", "reason": "out_of_stock", "colour": "red"}

    assert validator_of({"$ref": "#/$defs/PhoneAnswer"}).is_valid(answer)


def test_a_credential_is_never_invited() -> None:
    answer = {"acs_credential_id": "one", "state": "invited"}

    assert not validator_of({"$ref": "#/$defs/CredentialAnswer"}).is_valid(answer)


def test_the_schema_itself_is_valid() -> None:
    Draft202012Validator.check_schema(protocol_schema())
