"""The functions that are timed, in read-only folders like Lambda's."""

import compileall
import json
import py_compile
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent
BUILD = PROJECT / ".aws-sam/build"
FOLDER = PROJECT / ".local/bench"
_HERE = Path(__file__).parent

_SDK = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
_PYDANTIC = ("annotated-types", "pydantic", "pydantic-core", "typing-extensions", "typing-inspection")
_POWERTOOLS = ("aws-lambda-powertools", "aws-xray-sdk", "wrapt")
_RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")

_LAUNCH = json.loads((PROJECT / "events/launch.json").read_text())
_PARAMETERS = json.loads(_LAUNCH["body"])
# A launch without an ACS user is what the other ways to write it do, too.
_LAUNCH["body"] = json.dumps({name: _PARAMETERS[name] for name in _PARAMETERS if name.endswith("_id")})
_AUTHORIZER = json.loads((PROJECT / "events/authorizer_api_key.json").read_text())
EVENTS = {"launch": json.dumps(_LAUNCH).encode(), "authorizer": json.dumps(_AUTHORIZER).encode()}


@dataclass(frozen=True)
class Contestant:
    """A function and its layers.

    Attributes:
        name: Its name in the report.
        event: Which of ``EVENTS`` it is sent.
        task: The function's folder, which Lambda has as ``/var/task``.
        layers: Its layers' packages, which Lambda has as ``/opt/python``.
        variables: Of its environment, what is not the same for all.
    """

    name: str
    event: str
    task: Path
    layers: Path
    variables: tuple[tuple[str, str], ...] = ()


def lay_out(before: Path | None = None) -> tuple[Path, list[Contestant]]:
    """Copy everything that is timed.

    Args:
        before: Another build, which is timed beside the project's own.

    Returns:
        The runtime client's folder, and the contestants in the order of their turns.
    """
    if not BUILD.is_dir():
        sys.exit("nothing is built: make build")
    shutil.rmtree(FOLDER / "run", onexc=_remove_read_only)
    runtime = FOLDER / "run/runtime"
    _install(runtime, _RUNTIME_CLIENT)
    shutil.copy(_HERE / "probe.py", runtime / "probe.py")  # imported when asked for, not when timed
    _compile(runtime)

    sdk = _folder("sdk")
    _install(sdk, _SDK)
    _compile(sdk)
    usual = _folder("usual")
    _install(usual, _POWERTOOLS + _PYDANTIC + _SDK)
    shipped = _built("shipped", BUILD)
    earlier = _built("before", before) if before else {}
    contestants = [
        shipped["launch"],
        *(contestant for event, contestant in earlier.items() if event == "launch"),
        Contestant("empty", "launch", _baseline("empty"), _folder("nothing")),
        Contestant("bare", "launch", _baseline("bare"), sdk),
        Contestant("usual", "launch", _baseline("usual", compiled=False), usual),
        shipped["authorizer"],
        *(contestant for event, contestant in earlier.items() if event == "authorizer"),
        Contestant("empty", "authorizer", _baseline("empty"), _folder("nothing")),
        Contestant("bare", "authorizer", _baseline("bare_authorizer"), sdk),
    ]
    for path in [FOLDER / "run", *(FOLDER / "run").rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return runtime, contestants


def _built(name: str, build: Path) -> dict[str, Contestant]:
    """Copy what ``sam build`` has made; return a contestant for each event."""
    layers = _folder(name)
    for part in ("DependenciesLayer", "EnrollmentLayer"):
        shutil.copytree(build / part / "python", layers, dirs_exist_ok=True)
    variables = (("PYDANTIC_DISABLE_PLUGINS", "__all__"),)  # as the template has it
    functions = {"launch": "EnrollmentAutomationsFunction", "authorizer": "AuthorizerFunction"}
    return {
        event: Contestant(
            name, event, shutil.copytree(build / function, FOLDER / f"run/{name}_{event}"), layers, variables
        )
        for event, function in functions.items()
    }


def _folder(name: str) -> Path:
    folder = FOLDER / "run" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _baseline(name: str, *, compiled: bool = True) -> Path:
    folder = _folder(f"task_{name}")
    shutil.copy(_HERE / "baselines" / name / "app.py", folder)
    if compiled:
        _compile(folder)
    return folder


def _install(folder: Path, names: tuple[str, ...]) -> None:
    """Copy packages of this environment, without bytecode, as ``sam build`` unpacks them."""
    for name in names:
        for file in distribution(name).files or ():
            if ".." in file.parts or file.suffix == ".pyc":
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)


def _compile(folder: Path) -> None:
    compileall.compile_dir(folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def _remove_read_only(_: object, path: str, error: BaseException) -> None:
    if isinstance(error, FileNotFoundError):
        return
    Path(path).parent.chmod(0o755)
    if Path(path).is_dir():
        Path(path).chmod(0o755)
        shutil.rmtree(path, onexc=_remove_read_only)
    else:
        Path(path).unlink()
