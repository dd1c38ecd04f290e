"""Which records a mapping's filter lets through."""

import json
from typing import Any

import pytest

from local_aws.event_patterns import EventPattern
from local_aws.template import TemplateError


@pytest.mark.parametrize(
    ("pattern", "record"),
    [
        ({"a": ["x", "y"]}, {"a": "y", "b": 1}),
        ({"a": {"b": [1]}}, {"a": {"b": 1}}),
        ({"a": [None]}, {"a": None}),
        ({"a": ["x"]}, {"a": ["w", "x"]}),
        ({"a": {"b": ["x"]}}, {"a": [{"b": "w"}, {"b": "x"}]}),
        ({"a": [{"prefix": "x"}]}, {"a": "xy"}),
        ({"a": [{"suffix": "y"}]}, {"a": "xy"}),
        ({"a": [{"anything-but": "x"}]}, {"a": "y"}),
        ({"a": [{"anything-but": ["x", 1]}]}, {"a": True}),
        ({"a": [{"exists": True}]}, {"a": None}),
        ({"a": [{"exists": False}]}, {"b": 1}),
        ({"a": {"b": [{"exists": False}]}}, {}),
        ({"a": ["x", {"prefix": "y"}]}, {"a": "yz"}),
    ],
)
def test_a_record_passes(pattern: Any, record: Any) -> None:
    assert EventPattern(json.dumps(pattern), "F").matches(record)


@pytest.mark.parametrize(
    ("pattern", "record"),
    [
        ({"a": ["x"]}, {"a": "y"}),
        ({"a": ["x"]}, {}),
        ({"a": ["x"], "b": [1]}, {"a": "x", "b": 2}),
        ({"a": [1]}, {"a": "1"}),
        ({"a": [1]}, {"a": True}),
        ({"a": [None]}, {}),
        ({"a": {"b": ["x"]}}, {"a": "x"}),
        ({"a": ["x"]}, {"a": {"x": "x"}}),
        ({"a": [{"prefix": "x"}]}, {"a": 1}),
        ({"a": [{"suffix": "x"}]}, {"a": "xy"}),
        ({"a": [{"anything-but": "x"}]}, {"a": "x"}),
        ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "y"}),
        ({"a": [{"anything-but": "x"}]}, {}),
        ({"a": [{"exists": True}]}, {"b": 1}),
        ({"a": [{"exists": True}]}, {"a": {"b": 1}}),  # AWS looks for values, not for what has fields
        ({"a": [{"exists": False}]}, {"a": 1}),
        ({"a": ["x"]}, "no object"),
    ],
)
def test_a_record_does_not_pass(pattern: Any, record: Any) -> None:
    assert not EventPattern(json.dumps(pattern), "F").matches(record)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"a": "x"}',
        '{"a": []}',
        '{"a": {}}',
        '{"a": [["x"]]}',
        '{"a": [{}]}',
        '{"a": [{"numeric": [">", 1]}]}',
        '{"a": [{"prefix": "x", "suffix": "y"}]}',
        '{"a": [{"prefix": ["x"]}]}',
        '{"a": [{"suffix": 1}]}',
        '{"a": [{"exists": "true"}]}',
        '{"a": [{"anything-but": {"prefix": "x"}}]}',
        '{"$or": [{"prefix": "x"}]}',
    ],
)
def test_a_pattern_that_cannot_be_interpreted_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="Filter"):
        EventPattern(text, "Filter")
