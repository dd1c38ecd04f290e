"""Stands in for Lambda.  The functions run in this process, with their environment from the template.

An execution environment of Lambda handles one event at a time, so invocations take turns here.  Functions that wait for
others are an exception: they run at once, as they would in environments of their own.  If a file of a function or of a
layer changes, the next invocation uses the new code.
"""

import contextlib
import gc
import importlib
import io
import json
import logging
import os
import re
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from local_aws.template import (
    ACCOUNT_ID,
    REGION,
    Resource,
    TemplateError,
    code_path,
    interpreting,
    number,
    only,
    plain_text,
)

type Handler = Callable[[Any, "InvocationContext"], Any]

LONGEST_WAIT = 29  # seconds, API Gateway's quota "Integration timeout"

_RUNTIME = "python3.13"
# Lambda refuses other names, and most of those with these prefixes.  The rest, such as AWS_ENDPOINT_URL, would change
# the servers that this process calls.
_VARIABLE_NAME = re.compile(r"(?!AWS_|LAMBDA_)[A-Za-z][A-Za-z0-9_]+")
_PERMISSION = {"Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"}


class FunctionError(Exception):
    """A function raised, took longer than its time-out, or its answer is not JSON."""


class NoTurnError(Exception):
    """The previous invocation did not end in time, so this one could not begin."""


@dataclass(frozen=True, slots=True)
class FunctionDefinition:
    """A function of the template.

    Attributes:
        name: Its name, the last part of its ARN.
        folder: Its code.
        module: The module of its handler.
        handler: The handler's name in that module.
        timeout_seconds: The longest time of an invocation.
        memory_mb: Its memory in MB.
        environment: Its environment variables.
        execution_seconds: If it is a durable function, the longest time of an execution.
    """

    name: str
    folder: Path
    module: str
    handler: str
    timeout_seconds: float
    memory_mb: int
    environment: Mapping[str, str]
    execution_seconds: int | None = None

    @property
    def arn(self) -> str:
        """The function's ARN."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{self.name}"

    @classmethod
    def from_resource(cls, resource: Resource, root: Path, layers: Collection[str]) -> "FunctionDefinition":
        """Read a ``AWS::Lambda::Function``.

        Args:
            resource: The function.
            root: The folder of the template.
            layers: References of the template's layers.

        Raises:
            TemplateError: It is not a Python function in a folder beside the template.
        """
        where, properties = resource.logical_id, resource.properties
        with interpreting(where):
            if properties.get("Runtime") != _RUNTIME:
                raise TemplateError(f"{where}: only {_RUNTIME} can be run here")
            if foreign := set(properties.get("Layers", [])) - set(layers):
                raise TemplateError(f"{where}: {', '.join(sorted(foreign))} is no layer of the template")
            module, _, handler = properties["Handler"].rpartition(".")
            folder = root / code_path(properties["Code"])
            if not (folder / f"{module}.py").is_file():
                raise TemplateError(f"{where}: there is no {module}.py in {folder}")
            return cls(
                name=resource.reference,
                folder=folder,
                module=module,
                handler=handler,
                timeout_seconds=number(properties.get("Timeout", 3), 1, 900, f"{where}.Timeout"),
                memory_mb=int(number(properties.get("MemorySize", 128), 128, 10240, f"{where}.MemorySize")),
                environment=_read_environment(properties.get("Environment", {}), f"{where}.Environment"),
                execution_seconds=_read_execution_seconds(properties.get("DurableConfig"), f"{where}.DurableConfig"),
            )


def check_permission(permission: Resource) -> None:
    """Refuse an ``AWS::Lambda::Permission`` that lets anybody but API Gateway invoke a function.

    Raises:
        TemplateError: It lets in another service, for which there is no stand-in here.
    """
    where, properties = permission.logical_id, permission.properties
    with interpreting(where):
        only(properties, _PERMISSION, where)
        if properties["Principal"] != "apigateway.amazonaws.com":
            raise TemplateError(f"{where}: only API Gateway invokes functions here, not {properties['Principal']}")


def _read_environment(environment: Mapping[str, Any], where: str) -> dict[str, str]:
    only(environment, {"Variables"}, where)
    variables = environment.get("Variables", {})
    for name in variables:
        if not _VARIABLE_NAME.fullmatch(name):
            raise TemplateError(f"{where}: {name} is a name that Lambda keeps for itself")
    return {name: plain_text(value) for name, value in variables.items()}


def _read_execution_seconds(config: Mapping[str, Any] | None, where: str) -> int | None:
    if config is None:
        return None
    only(config, {"ExecutionTimeout", "RetentionPeriodInDays"}, where)
    return int(number(config["ExecutionTimeout"], 1, 31_622_400, f"{where}.ExecutionTimeout"))


@dataclass(slots=True)
class InvocationContext:
    """The context object that Lambda passes to a handler with the event."""

    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: int
    deadline: float
    function_version: str = "$LATEST"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until the function's time-out, in ms."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


class Functions:
    """The functions of the template, ready to be invoked.

    Args:
        definitions: The functions.
        layers: Folders of the layers with our own code.
        log: Gets the functions' standard output.
        terminal: Gets the tracebacks of functions that raise.
        needs_no_traceback: Returns whether an error is not a defect, and the function has already logged it.
        longest_wait: How many seconds an invocation waits for its turn.
        at_once: Names of functions whose invocations take no turns.  Such a function must read its environment while it
            is imported, and not later.

    Attributes:
        definitions: The functions by name.
    """

    def __init__(  # noqa: PLR0913 - each is its own thing, and is given by its name
        self,
        definitions: Sequence[FunctionDefinition],
        layers: Sequence[Path],
        *,
        log: io.TextIOBase,
        terminal: TextIO,
        needs_no_traceback: Callable[[BaseException], bool] = lambda _: False,
        longest_wait: float = LONGEST_WAIT,
        at_once: Collection[str] = (),
    ) -> None:
        self.definitions = {definition.name: definition for definition in definitions}
        self._layers = [layer.resolve() for layer in layers]
        self._log = log
        self._terminal = terminal
        self._needs_no_traceback = needs_no_traceback
        self._longest_wait = longest_wait
        self._at_once = frozenset(at_once)
        self._turn = threading.Lock()
        self._is_closed = False
        self._handlers: dict[str, Handler] = {}
        self._sources = self._read_sources()

    def invoke(self, name: str, event: Mapping[str, Any]) -> Any:
        """Invoke a function and return its answer.

        Args:
            name: The function's name.
            event: The event.  The function gets a copy.

        Raises:
            FunctionError: It raised, took too long, or its answer is not JSON.  The terminal shows the reason.
            NoTurnError: The previous invocation did not end in time.
        """
        definition = self.definitions[name]
        if name in self._at_once:
            with self._next_turn(name), self._surroundings(definition):
                self._forget_changed_code()
                handler = self._handler(definition)
            return self._call(definition, handler, event)
        with self._next_turn(name), self._surroundings(definition):
            self._forget_changed_code()
            return self._call(definition, self._handler(definition), event)

    def _handler(self, definition: FunctionDefinition) -> Handler:
        """Return a function's handler; import it, if that has to be done."""
        with self._telling_errors(definition):
            return self._loaded(definition)

    def _call(self, definition: FunctionDefinition, handler: Handler, event: Mapping[str, Any]) -> Any:
        name, deadline = definition.name, time.monotonic() + definition.timeout_seconds
        context = InvocationContext(name, definition.arn, definition.memory_mb, deadline)
        with self._telling_errors(definition):
            answer = json.loads(json.dumps(handler(json.loads(json.dumps(event)), context)))
        # Python cannot stop a thread.  Lambda would have stopped the function, so its late answer is dropped.
        if time.monotonic() > deadline:
            late = FunctionError(f"{name} timed out: it took longer than its {definition.timeout_seconds:g} s")
            self._show(f"{late}\n")
            raise late
        return answer

    @contextlib.contextmanager
    def _telling_errors(self, definition: FunctionDefinition) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:
            if not self._needs_no_traceback(error):
                self._show(traceback.format_exc())
            raise FunctionError(f"{definition.name} raised {type(error).__name__}") from error

    def handler(self, name: str) -> Handler:
        """Return the handler that a function's next invocation will call."""
        definition = self.definitions[name]
        with self._next_turn(name), self._surroundings(definition):
            self._forget_changed_code()
            return self._loaded(definition)

    @contextlib.contextmanager
    def _next_turn(self, name: str) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._longest_wait):
            raise NoTurnError(f"{name} waited {self._longest_wait:g} s for another invocation to end")
        try:
            if self._is_closed:
                raise NoTurnError(f"{name} cannot begin, because the system has ended")
            yield
        finally:
            self._turn.release()

    def close(self) -> None:
        """Begin no more invocations, and show nothing of those that are under way.

        What has the turn gets a second to end, because it changes the environment of the process.
        """
        self._is_closed = True
        if self._turn.acquire(timeout=1):
            self._turn.release()

    def _show(self, lines: str) -> None:
        if self._is_closed:
            return
        self._terminal.write(lines)
        self._terminal.flush()

    @contextlib.contextmanager
    def _surroundings(self, definition: FunctionDefinition) -> Iterator[None]:
        """Give the process the function's environment and standard output until the context ends."""
        variables = {
            **definition.environment,
            "AWS_LAMBDA_FUNCTION_NAME": definition.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(definition.memory_mb),
            "LAMBDA_TASK_ROOT": str(definition.folder),
        }
        with environment(variables), contextlib.redirect_stdout(self._log):
            yield

    def _loaded(self, definition: FunctionDefinition) -> Handler:
        return self._handlers.get(definition.name) or self._load(definition)

    def _load(self, definition: FunctionDefinition) -> Handler:
        """Import a handler as Lambda does.  Its folder is first on the path, and no other function sees its modules."""
        # Loggers survive when their modules are imported again, and would write to the old output.
        logging.Logger.manager.loggerDict.pop(definition.environment.get("POWERTOOLS_SERVICE_NAME", ""), None)
        folder = str(definition.folder.resolve())
        sys.path.insert(0, folder)
        writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            importlib.invalidate_caches()
            module = importlib.import_module(definition.module)
            handler: Handler = getattr(module, definition.handler)
        finally:
            # A function freezes its objects and stops the garbage collector.  Here each changed file would leak memory.
            gc.unfreeze()
            gc.enable()
            sys.path.remove(folder)
            sys.dont_write_bytecode = writes_bytecode
            _forget_modules([Path(folder)])
        self._handlers[definition.name] = handler
        return handler

    def _forget_changed_code(self) -> None:
        sources = self._read_sources()
        if sources != self._sources:
            self._sources = sources
            self._handlers.clear()
            _forget_modules(self._layers)

    def _read_sources(self) -> dict[str, tuple[int, int]]:
        folders = [*self._layers, *(definition.folder for definition in self.definitions.values())]
        sources: dict[str, tuple[int, int]] = {}
        for folder in folders:
            _add_sources(folder, sources)
        return sources


@contextlib.contextmanager
def environment(variables: Mapping[str, str], without: tuple[str, ...] = ()) -> Iterator[None]:
    """Change this process's environment until the context ends.

    Args:
        variables: The variables to set.
        without: Prefixes of variables to remove.
    """
    before = dict(os.environ)
    for name in before:
        if name.startswith(without):
            del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _add_sources(folder: str | Path, sources: dict[str, tuple[int, int]]) -> None:
    """Add the source files below a folder, each with its time and size.

    This is done for each request, and takes a third of the time of ``Path.rglob``.
    """
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _add_sources(entry.path, sources)
            elif entry.name.endswith((".py", ".json")):
                with contextlib.suppress(FileNotFoundError):  # some editors rename files when they save
                    status = entry.stat()
                    sources[entry.path] = (status.st_mtime_ns, status.st_size)


def _forget_modules(folders: Sequence[Path]) -> None:
    beginnings = tuple(f"{folder}{os.sep}" for folder in folders)  # a thousand paths take 50 ms to compare
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and file.startswith(beginnings):
            del sys.modules[name]
