"""Lambda on this machine."""

import gc
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enrollments.local.stack import FunctionLog, is_outage
from local_aws.functions import FunctionDefinition, FunctionError, Functions, NoTurnError

type Write = Callable[[str], int]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return (tmp_path / "app.py").write_text


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def terminal() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def invoke(tmp_path: Path, log: io.StringIO, terminal: io.StringIO) -> Callable[[Any], Any]:
    (tmp_path / "app.py").write_text("def handler(event, context): return event")
    definition = FunctionDefinition("f", tmp_path, "app", "handler", 3, 512, {"TABLE_NAME": "t"})
    functions = Functions(
        [definition], [], log=FunctionLog(log, terminal), terminal=terminal, needs_no_traceback=is_outage
    )
    return lambda event: functions.invoke("f", event)


def test_a_function_gets_the_event_and_its_answer_comes_back(invoke: Callable[[Any], Any]) -> None:
    assert invoke({"a": [1, None]}) == {"a": [1, None]}


def test_a_function_has_the_environment_of_the_template_and_a_context(
    invoke: Callable[[Any], Any], write: Write
) -> None:
    write(
        "import os\n"
        "def handler(event, context):\n"
        "    return [os.environ['TABLE_NAME'], context.function_name, context.memory_limit_in_mb,\n"
        "            0 < context.get_remaining_time_in_millis() <= 3000, len(context.aws_request_id)]"
    )

    assert invoke({}) == ["t", "f", 512, True, 36]


def test_a_changed_function_is_picked_up_by_the_next_invocation(invoke: Callable[[Any], Any], write: Write) -> None:
    invoke({})

    write("def handler(event, context): return 'changed'")

    assert invoke({}) == "changed"


def test_changed_data_beside_a_function_is_picked_up_by_the_next_invocation(
    invoke: Callable[[Any], Any], write: Write, tmp_path: Path
) -> None:
    (tmp_path / "data.json").write_text("1")
    write(
        "import json, pathlib\n"
        "VALUE = json.loads(pathlib.Path(__file__).with_name('data.json').read_text())\n"
        "def handler(event, context): return VALUE"
    )
    invoke({})

    (tmp_path / "data.json").write_text("22")

    assert invoke({}) == 22


def test_a_function_that_hides_what_it_has_from_the_collector_hides_nothing_here(
    invoke: Callable[[Any], Any], write: Write
) -> None:
    write("import gc\ngc.disable()\ngc.freeze()\ndef handler(event, context): pass")

    invoke({})

    assert (gc.get_freeze_count(), gc.isenabled()) == (0, True)


def test_a_module_beside_the_handler_is_the_functions_own(
    invoke: Callable[[Any], Any], write: Write, tmp_path: Path
) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 1")
    write("import beside\ndef handler(event, context): return beside.VALUE")
    invoke({})

    (tmp_path / "beside.py").write_text("VALUE = 22")

    assert invoke({}) == 22


@pytest.mark.parametrize(
    "source",
    ["def handler(event, context): raise KeyError('x')", "raise KeyError('x')", "def handler(event, context): 1 +"],
)
def test_a_function_that_raises_shows_its_traceback_and_recovers(
    invoke: Callable[[Any], Any], write: Write, terminal: io.StringIO, source: str
) -> None:
    write(source)

    with pytest.raises(FunctionError):
        invoke({})

    assert "Traceback" in terminal.getvalue()
    assert "app.py" in terminal.getvalue()
    write("def handler(event, context): return 'mended'")
    assert invoke({}) == "mended"


def test_what_is_not_json_is_no_answer(invoke: Callable[[Any], Any], write: Write) -> None:
    write("def handler(event, context): return object()")

    with pytest.raises(FunctionError):
        invoke({})


def test_what_a_function_prints_goes_to_the_log(
    invoke: Callable[[Any], Any], write: Write, log: io.StringIO, terminal: io.StringIO
) -> None:
    write("def handler(event, context): print('hello')")

    invoke({})

    assert (log.getvalue(), terminal.getvalue()) == ("hello\n", "")


def test_a_logged_traceback_is_shown_on_the_terminal(
    invoke: Callable[[Any], Any], write: Write, terminal: io.StringIO
) -> None:
    write('def handler(event, context): print(\'{"exception":"Traceback: it broke"}\')')

    invoke({})

    assert terminal.getvalue() == "Traceback: it broke\n"


def test_an_answer_after_the_time_out_is_none(tmp_path: Path, terminal: io.StringIO) -> None:
    (tmp_path / "app.py").write_text("import time\ndef handler(event, context): time.sleep(0.02)")
    definition = FunctionDefinition("f", tmp_path, "app", "handler", 0.01, 512, {})
    functions = Functions([definition], [], log=io.StringIO(), terminal=terminal)

    with pytest.raises(FunctionError, match="f timed out"):
        functions.invoke("f", {})

    assert terminal.getvalue() == "f timed out: it took longer than its 0.01 s\n"


def test_who_gets_no_turn_is_not_invoked(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import builtins\ndef handler(event, context):\n    event['hangs'] and builtins.test_hang()\n    return 'done'"
    )
    definition = FunctionDefinition("f", tmp_path, "app", "handler", 3, 512, {})
    functions = Functions([definition], [], log=io.StringIO(), terminal=io.StringIO(), longest_wait=0.05)
    begun, end = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        end.wait(10)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.test_hang", hang, raising=False)
        hanging = threading.Thread(target=functions.invoke, args=("f", {"hangs": True}))
        hanging.start()
        begun.wait(10)

        with pytest.raises(NoTurnError):
            functions.invoke("f", {"hangs": False})

        end.set()
        hanging.join()
    assert functions.invoke("f", {"hangs": False}) == "done"


def test_an_outage_of_the_database_shows_no_traceback(
    invoke: Callable[[Any], Any], write: Write, terminal: io.StringIO
) -> None:
    write(
        "from enrollment.errors import ServiceUnavailable\n"
        "def handler(event, context): raise ServiceUnavailable from ConnectionError('x')"
    )

    with pytest.raises(FunctionError, match="ServiceUnavailable"):
        invoke({})

    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"type": "service_unavailable", "cause": "EndpointConnectionError"}, "EndpointConnectionError"),
        ({"type": "service_unavailable", "cause": None}, "no answer"),
        ({"exception_name": "ServiceUnavailable", "exception": "Traceback"}, "no answer"),
        ({"exception_name": "NoAccessToDatabase", "database_error": "AccessDeniedException"}, "AccessDeniedException"),
    ],
)
def test_an_outage_that_a_function_logs_is_a_line_on_the_terminal(
    log: io.StringIO, terminal: io.StringIO, entry: dict[str, Any], line: str
) -> None:
    FunctionLog(log, terminal).write(json.dumps({"service": "acs", **entry}) + "\n")

    assert terminal.getvalue() == f"acs: the database is unavailable: {line}\n"
