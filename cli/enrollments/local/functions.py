"""Lambda on this machine: functions in this process, one invocation at a time, their environment from the template.

An execution environment of Lambda handles one event at a time, and Powertools keeps the current event in a class, so
invocations take turns.  A file of a function or of the package ``enrollment`` that has changed since the last
invocation is picked up by the next.
"""

import contextlib
import importlib
import io
import json
import logging
import os
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from enrollments.local.template import ACCOUNT_ID, REGION, Resource, TemplateError, code_path

type Handler = Callable[[Any, "InvocationContext"], Any]

_RUNTIME = "python3.13"


class FunctionError(Exception):
    """A function raised, or answered with what is not JSON."""


@dataclass(frozen=True, slots=True)
class FunctionDefinition:
    """A function of the template.

    Attributes:
        name: Its name, the last part of its ARN.
        folder: Its code.
        module: The module of its handler.
        handler: The handler's name in that module.
        timeout_seconds: How long an invocation may take.
        memory_mb: Its memory.
        environment: Its environment variables.
    """

    name: str
    folder: Path
    module: str
    handler: str
    timeout_seconds: int
    memory_mb: int
    environment: Mapping[str, str]

    @property
    def arn(self) -> str:
        """The function's ARN."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{self.name}"

    @classmethod
    def from_resource(cls, resource: Resource, root: Path) -> "FunctionDefinition":
        """Read a ``AWS::Lambda::Function``.

        Raises:
            TemplateError: It is not a Python function in a folder beside the template.
        """
        properties = resource.properties
        if properties.get("Runtime") != _RUNTIME:
            raise TemplateError(f"{resource.logical_id}: only {_RUNTIME} can be run here")
        module, _, handler = properties["Handler"].rpartition(".")
        folder = root / code_path(properties["Code"])
        if not (folder / f"{module}.py").is_file():
            raise TemplateError(f"{resource.logical_id}: there is no {module}.py in {folder}")
        return cls(
            name=resource.reference,
            folder=folder,
            module=module,
            handler=handler,
            timeout_seconds=int(properties.get("Timeout", 3)),
            memory_mb=int(properties.get("MemorySize", 128)),
            environment={
                name: str(value) for name, value in properties.get("Environment", {}).get("Variables", {}).items()
            },
        )


@dataclass(slots=True)
class InvocationContext:
    """What Lambda passes to a handler beside the event."""

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
        layers: Folders of our own code that the functions share.
        log: Where what the functions print goes.
        terminal: Where the traceback of a function that raises goes.
    """

    def __init__(
        self,
        definitions: Sequence[FunctionDefinition],
        layers: Sequence[Path],
        log: io.TextIOBase,
        terminal: TextIO,
    ) -> None:
        self._definitions = {definition.name: definition for definition in definitions}
        self._layers = [layer.resolve() for layer in layers]
        self._log = log
        self._terminal = terminal
        self._turn = threading.Lock()
        self._handlers: dict[str, Handler] = {}
        self._sources = self._read_sources()

    def invoke(self, name: str, event: Mapping[str, Any]) -> Any:
        """Invoke a function and return its answer.

        Args:
            name: The function's name.
            event: The event, which the function gets a copy of.

        Raises:
            FunctionError: It raised; its traceback is on the terminal.
        """
        definition = self._definitions[name]
        with self._turn, self._surroundings(definition):
            self._forget_changed_code()
            try:
                handler = self._handlers.get(name) or self._load(definition)
                deadline = time.monotonic() + definition.timeout_seconds
                context = InvocationContext(name, definition.arn, definition.memory_mb, deadline)
                answer = handler(json.loads(json.dumps(event)), context)
                return json.loads(json.dumps(answer))
            except (Exception, SystemExit) as error:
                traceback.print_exc(file=self._terminal)
                raise FunctionError(f"{name} raised {type(error).__name__}") from error

    @contextlib.contextmanager
    def _surroundings(self, definition: FunctionDefinition) -> Iterator[None]:
        """Give the process the function's environment and standard output, for the length of its turn."""
        variables = {
            **definition.environment,
            "AWS_LAMBDA_FUNCTION_NAME": definition.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(definition.memory_mb),
            "LAMBDA_TASK_ROOT": str(definition.folder),
        }
        with environment(variables), contextlib.redirect_stdout(self._log):
            yield

    def _load(self, definition: FunctionDefinition) -> Handler:
        """Import a handler as Lambda does: its folder comes first on the path, and its modules are its own."""
        # Loggers outlive the modules that made them, and would go on writing where those did.
        logging.Logger.manager.loggerDict.pop(definition.environment.get("POWERTOOLS_SERVICE_NAME", ""), None)
        folder = str(definition.folder.resolve())
        sys.path.insert(0, folder)
        writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            importlib.invalidate_caches()
            module = importlib.import_module(definition.module)
            handler: Handler = getattr(module, definition.handler)
        finally:
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

    def _read_sources(self) -> dict[Path, tuple[int, int]]:
        folders = [*self._layers, *(definition.folder for definition in self._definitions.values())]
        sources = {}
        for folder in folders:
            for path in folder.rglob("*.py"):
                with contextlib.suppress(FileNotFoundError):  # an editor that saves by renaming
                    status = path.stat()
                    sources[path] = (status.st_mtime_ns, status.st_size)
        return sources


@contextlib.contextmanager
def environment(variables: Mapping[str, str], without: tuple[str, ...] = ()) -> Iterator[None]:
    """Change this process's environment for the length of the context.

    Args:
        variables: What to set.
        without: Prefixes of variables to leave out.
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


def _forget_modules(folders: Sequence[Path]) -> None:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and any(Path(file).is_relative_to(folder) for folder in folders):
            del sys.modules[name]
