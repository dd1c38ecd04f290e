"""Regular expressions that are compiled ahead are the ones that Python would make, and never stand in its way."""

import importlib
import re
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from enrollment.patterns import compile_all, use_compiled

COMPILER = cast("Any", importlib.import_module("re._compiler"))
ENGINE = (COMPILER.MAGIC, cast("Any", importlib.import_module("_sre")).CODESIZE)
# What ``re`` makes of "b", under the name of "a": so that it shows which of the two was used.
CODE_OF_B: tuple[object, ...] = (0, [int(word) for word in COMPILER._code(COMPILER._parser.parse("b"), 0)], 0, {}, ())


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    re.purge()
    yield
    compile_all()
    re.purge()


def layer(monkeypatch: pytest.MonkeyPatch, **found: object) -> None:
    monkeypatch.setitem(sys.modules, "compiled_patterns", cast("ModuleType", SimpleNamespace(**found)))


def test_a_pattern_of_the_layer_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    layer(monkeypatch, ENGINE=ENGINE, CALLS={("a", 0): CODE_OF_B})

    use_compiled()

    pattern = re.compile("a")
    assert (pattern.pattern, bool(pattern.match("b"))) == ("a", True)


def test_what_the_layer_does_not_have_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    layer(monkeypatch, ENGINE=ENGINE, CALLS={("a", 0): CODE_OF_B})

    use_compiled()

    assert re.compile("a", re.IGNORECASE).match("A")
    assert re.compile(b"a").match(b"a")
    assert re.compile("[ab]+").fullmatch("abba")


@pytest.mark.parametrize("engine", [(ENGINE[0] + 1, ENGINE[1]), (ENGINE[0], ENGINE[1] + 1)])
def test_another_engine_compiles_everything(monkeypatch: pytest.MonkeyPatch, engine: tuple[int, int]) -> None:
    layer(monkeypatch, ENGINE=engine, CALLS={("a", 0): CODE_OF_B})

    use_compiled()

    assert re.compile("a").match("a")


def test_without_the_layer_everything_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "compiled_patterns", raising=False)

    use_compiled()

    assert re.compile("a").match("a")


def test_when_a_function_is_ready_python_compiles_again(monkeypatch: pytest.MonkeyPatch) -> None:
    layer(monkeypatch, ENGINE=ENGINE, CALLS={("a", 0): CODE_OF_B})

    use_compiled()
    compile_all()

    assert re.compile("a").match("a")
