"""A line says what happened, in JSON, with nothing in it that nobody reads."""

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from enrollment.log import create_logger


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    # Powertools keeps a logger for each service.
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)


def line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    written = capsys.readouterr().out
    assert written.count("\n") == 1
    found: dict[str, Any] = json.loads(written)
    return found


def test_a_line_has_its_message_and_its_keys_in_this_order(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    create_logger().info("launched", extra={"status": 200, "route": "/launch", "cause": None})

    found = line(capsys)
    at = datetime.fromisoformat(found.pop("timestamp"))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert list(found.items()) == [
        ("level", "INFO"),
        ("message", "launched"),
        ("service", request.node.name),
        ("status", 200),
        ("route", "/launch"),
    ]


def test_what_is_for_finding_mistakes_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    create_logger().debug("read")

    assert capsys.readouterr().out == ""


def test_times_are_in_utc_wherever_the_function_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        create_logger().info("launched")
    time.tzset()

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line(capsys)["timestamp"])


def test_appended_keys_are_on_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    logger = create_logger()
    logger.append_keys(function_request_id="1")

    logger.info("allowed", token_id="2")

    found = line(capsys)
    assert (found["function_request_id"], found["token_id"]) == ("1", "2")


def test_a_line_has_the_trace_that_lambda_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")

    create_logger().info("launched")

    assert line(capsys)["xray_trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"


def test_a_defects_line_has_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logger = create_logger()
    try:
        int("no")
    except ValueError:
        logger.exception("defect", extra={"status": 500})

    found = line(capsys)
    assert (found["level"], found["message"], found["exception_name"]) == ("ERROR", "defect", "ValueError")
    assert found["status"] == 500
    assert "test_a_defects_line_has_its_traceback" in found["exception"]


def test_a_message_is_never_read_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    create_logger().info('{"level": "none"}')

    assert line(capsys)["message"] == '{"level": "none"}'


def test_a_message_with_arguments_has_them_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    create_logger().info("%s of %d", "one", 2)

    assert line(capsys)["message"] == "one of 2"
