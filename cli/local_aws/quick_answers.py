"""Makes moto answer quicker, with the same answers.

moto finds out the same things again for each request: the names of a class's methods, the words of a condition, and
which of ten types a value has.  Together that took a fifth of the time of tests on tables.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any
from unittest.mock import patch

from moto.core.model import StructureShape
from moto.core.serialize import BaseJSONSerializer
from moto.core.utils import method_names_from_class
from moto.dynamodb.comparisons import ConditionExpressionParser

_READ = ConditionExpressionParser._lex_condition_expression  # noqa: SLF001 - moto has no public name for this step


@contextmanager
def quick_answers() -> Iterator[None]:
    """Make moto answer quicker until the context ends."""
    serialize = BaseJSONSerializer._serialize_type_structure  # noqa: SLF001 - moto has no public name for this step

    def serialize_structure(
        serializer: BaseJSONSerializer, serialized: dict[str, Any], value: Any, shape: StructureShape, key: str
    ) -> None:
        if shape.name == "AttributeValue" and isinstance(value, dict) and value.keys() <= shape.members.keys():
            answer: Any = serializer.MAP_TYPE()
            for name, member in value.items():
                if member is not None:
                    serializer._serialize(answer, member, shape.members[name], name)  # noqa: SLF001
            serialized[key] = answer
        else:
            serialize(serializer, serialized, value, shape, key)

    with (
        patch("moto.core.responses.method_names_from_class", cache(method_names_from_class)),
        patch.object(ConditionExpressionParser, "_lex_condition_expression", _words),
        patch.object(BaseJSONSerializer, "_serialize_type_structure", serialize_structure),
    ):
        yield


def _words(parser: ConditionExpressionParser) -> deque[Any]:
    """Return a condition's words.  The parser takes them out of the queue, so each gets a queue of its own."""
    return deque(_words_of(parser.condition_expression))


@lru_cache(maxsize=1000)
def _words_of(expression: str | None) -> tuple[Any, ...]:
    return tuple(_READ(ConditionExpressionParser(expression, None, None)))
