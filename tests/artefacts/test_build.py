"""What ``sam build`` makes is what Lambda can start from, and nothing else."""

import json
import marshal
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import source_hash
from pathlib import Path
from threading import Thread
from types import CodeType
from typing import Any

import boto3
import pytest

from enrollment.store.client import create_client
from enrollments.local.demo import demo, seed
from local_aws.functions import environment
from local_aws.moto_server import serve_moto
from tests.artefacts.conftest import FUNCTIONS, PLACES, build_in, files_of
from tests.events import event as event_of
from tests.fixtures import create_table

pytestmark = pytest.mark.artefacts

MAGIC_NUMBER_OF_3_13 = (3571).to_bytes(2, "little") + b"\r\n"
UNCHECKED_HASH = (0b01).to_bytes(4, "little")  # PEP 552
LARGEST_FUNCTION_BYTES = 250 * 2**20  # with its layers, unzipped: a quota of Lambda
# Modules of the layer and of Python that no function needs: asyncio alone was a tenth of a start.
# Only the runner of durable functions makes an event for one.
DURABLE = {"ProvisioningFunction", "RedeliveriesFunction"}
SERVICES = {"dynamodb", "events", "lambda", "secretsmanager", "sqs"}
NOT_NEEDED = {
    *(
        "aws_lambda_powertools.event_handler",
        "aws_lambda_powertools.utilities.batch",
        "botocore.crt.auth",
        "pydantic.v1",
    ),
    *("asyncio", "ctypes", "multiprocessing", "pdb", "pydoc", "sqlite3", "unittest"),
}
START = Path(__file__).with_name("start.py")


def bytecode_of(source: Path) -> Path:
    return source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"


@pytest.fixture(params=sorted(PLACES))
def part(build: Path, request: pytest.FixtureRequest) -> Path:
    folder: Path = build / request.param
    return folder


def test_the_build_has_the_parts_that_are_deployed(build: Path) -> None:
    assert {path.name for path in build.iterdir()} == {*PLACES, "template.yaml"}


def test_every_source_has_its_bytecode_and_none_is_left_over(part: Path) -> None:
    sources = list(part.rglob("*.py"))

    assert sources
    assert {bytecode_of(source) for source in sources} == set(part.rglob("*.pyc"))


def test_bytecode_is_python_3_13s_and_taken_without_a_look_at_its_source(part: Path) -> None:
    headers = {path.read_bytes()[:8] for path in part.rglob("*.pyc")}

    assert headers == {MAGIC_NUMBER_OF_3_13 + UNCHECKED_HASH}


def test_bytecode_is_of_the_source_beside_it(part: Path) -> None:
    hashes = {source: bytecode_of(source).read_bytes()[8:16] for source in part.rglob("*.py")}

    assert hashes == {source: source_hash(source.read_bytes()) for source in part.rglob("*.py")}


def test_bytecode_names_files_as_they_are_called_in_lambda(part: Path) -> None:
    place = PLACES[part.name]

    for source in part.rglob("*.py"):
        code = marshal.loads(bytecode_of(source).read_bytes()[16:])  # noqa: S302 - we have just built it
        assert file_names(code) == {f"{place}/{source.relative_to(part)}"}


def file_names(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return {code.co_filename}.union(*map(file_names, inner))


def test_our_layer_has_our_package_only(build: Path, project: Path) -> None:
    package = project / "layers/enrollment/enrollment"

    shipped = {path for path in files_of(build / "EnrollmentLayer") if not path.endswith(".pyc")}

    assert shipped == {f"python/enrollment/{path.relative_to(package)}" for path in package.rglob("*.py")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_one_module_and_its_data(build: Path, name: str) -> None:
    data = {"client_session_routes.json"} if name == "AuthorizerFunction" else set()

    assert files_of(build / name) == {"app.py", "__pycache__/app.cpython-313.pyc", *data}


def test_botocore_knows_the_services_that_are_called(build: Path) -> None:
    data = build / "DependenciesLayer/python/botocore/data"
    endpoints = json.loads((data / "endpoints.json").read_text())

    assert {path.name for path in data.iterdir() if path.is_dir()} == SERVICES
    assert {path.name for path in (data / "dynamodb").iterdir()} == {"2012-08-10"}
    assert {name for partition in endpoints["partitions"] for name in partition["services"]} == SERVICES


def test_botocore_knows_the_operations_that_messages_leave_by(build: Path, project: Path) -> None:
    modules = (project / "layers/enrollment/enrollment/outbound").rglob("*.py")
    called = {name for module in modules for name in re.findall(r"_client\.([a-z_]+)\(", module.read_text())}
    of_the_durable_sdk = {"checkpoint_durable_execution", "get_durable_execution_state"}
    data = build / "DependenciesLayer/python/botocore/data"

    known = {
        re.sub(r"(?<!^)([A-Z])", r"_\1", operation).lower()
        for service in SERVICES - {"dynamodb"}
        for description in (data / service).glob("*/service-2.json")
        for operation in json.loads(description.read_text())["operations"]
    }

    assert known == called | of_the_durable_sdk


def test_botocore_knows_the_operations_that_are_called(build: Path, project: Path) -> None:
    modules = (project / "layers/enrollment/enrollment/store").rglob("*.py")
    named = {
        name for module in modules for name in re.findall(r"\.client\.([a-z]+(?:_[a-z]+)*)[(,]", module.read_text())
    }
    # Only operators' commands scan, and delete without conditions, with their own botocore.
    called = named - {"batch_write_item", "scan"}
    (description,) = (build / "DependenciesLayer/python/botocore/data/dynamodb").glob("*/service-2.json")

    known = json.loads(description.read_text())["operations"]

    assert {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() for name in known} == called


def test_compiled_code_is_there_for_both_processors(build: Path) -> None:
    machines = {"x86_64": 0x3E, "aarch64": 0xB7}  # e_machine of an ELF file

    objects = sorted((build / "DependenciesLayer").rglob("*.so"))

    assert [path.name for path in objects] == [
        f"_pydantic_core.cpython-313-{name}-linux-gnu.so" for name in sorted(machines)
    ]
    for path, name in zip(objects, sorted(machines), strict=True):
        assert int.from_bytes(path.read_bytes()[18:20], "little") == machines[name]


def test_a_function_with_its_layers_is_far_below_lambdas_quota(build: Path) -> None:
    size = sum((build / name).stat().st_size for name in files_of(build))

    assert size < LARGEST_FUNCTION_BYTES / 5


@pytest.fixture
def read_only(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A copy of the artefacts, or of the build that a test names, that cannot be written to and was not."""
    copy = tmp_path / "artefacts"
    shutil.copytree(request.getfixturevalue(getattr(request, "param", "build")), copy)
    before = files_of(copy)
    folders = [copy, *(path for path in copy.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield copy
    assert files_of(copy) == before  # root writes where it likes
    for folder in folders:
        folder.chmod(0o755)


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    """The environment of a function, with a DynamoDB that holds the demo workspaces."""
    credentials = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    with serve_moto("127.0.0.1") as moto, environment({"AWS_DEFAULT_REGION": "us-east-1"}):
        table = create_table(create_client(), "table")
        seed(table)
        sqs, buses, secrets = (
            boto3.client("sqs", endpoint_url=moto.url),
            boto3.client("events", endpoint_url=moto.url),
            boto3.client("secretsmanager", endpoint_url=moto.url),
        )
        queue = sqs.create_queue(QueueName="queue")["QueueUrl"]
        buses.create_event_bus(Name="events")
        secret = secrets.create_secret(Name="webhooks", SecretString="secret")["ARN"]
        yield credentials | {
            "AWS_ENDPOINT_URL": moto.url,
            "CONNECTORS_SECRET_ARN": secret,
            "DELIVERIES_QUEUE_URL": queue,
            "EVENT_BUS_NAME": "events",
            "EVENT_RETENTION_DAYS": "30",
            "EVENTS_FAILURES_QUEUE_URL": queue,
            "PROVISIONING_FUNCTION": "provisioning:live",
            "REDELIVERIES_FUNCTION": "redeliveries:live",
            "WEBHOOKS_SECRET_ARN": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_DYNAMODB": moto.url,
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "POWERTOOLS_METRICS_NAMESPACE": "EnrollmentAutomations",
            "POWERTOOLS_SERVICE_NAME": "service",
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
            "TABLE_NAME": "table",
        }


def start(
    artefacts: Path, variables: dict[str, str], *arguments: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", *options, str(START), str(artefacts), *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603


def event_for(name: str, folder: Path) -> str:
    """Write an event that makes a function ask DynamoDB, and return its path."""
    v = demo().variables
    events = {
        "AuthorizerFunction": "authorizer_api_key",
        "EnrollmentAutomationsFunction": "launch_with_every_option",
        "UserIdentitiesFunction": "get",
        "AcsFunction": "get",
        "PhonesFunction": "phones_get",
        "DeliveriesFunction": "queue",
        "ClientSessionsFunction": "workspaces_get",
        "EventsApiFunction": "webhooks_list",
        "EventsFunction": "stream",
    }
    event: dict[str, Any] = event_of(events[name])
    other = {
        "UserIdentitiesFunction": ("/user_identities/list", {"limit": 1}),
        "AcsFunction": ("/acs/systems/get", {"acs_system_id": v["ACS_SYSTEM_ID"]}),
    }
    if name in other:
        path, body = other[name]
        event |= {"path": path, "resource": path, "body": json.dumps(body)}
    file = folder / "event.json"
    file.write_text(json.dumps(event))
    return str(file)


@pytest.mark.parametrize("read_only", ["build", "uncut"], indirect=True)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_starts_and_answers_without_compiling_anything(
    read_only: Path, variables: dict[str, str], tmp_path: Path, name: str
) -> None:
    events = [] if name in DURABLE else [event_for(name, tmp_path)]
    finished = start(read_only, variables, name, *events)

    assert (finished.returncode, finished.stderr) == (0, "")
    if not events:
        return
    answer = json.loads(finished.stdout.splitlines()[-1])
    if name == "AuthorizerFunction":
        assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    elif name in {"DeliveriesFunction", "EventsFunction"}:
        assert answer == {"batchItemFailures": []}
    else:
        assert answer["statusCode"] == 200
        assert json.loads(answer["body"])["ok"] is True


@pytest.mark.parametrize("name", sorted({*FUNCTIONS} - DURABLE))
def test_a_function_loads_nothing_for_what_it_does_not_do(
    read_only: Path, variables: dict[str, str], tmp_path: Path, name: str
) -> None:
    finished = start(read_only, variables, name, event_for(name, tmp_path), options=("-X", "importtime"))

    loaded = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
    assert "enrollment.store.table" in loaded
    assert loaded & NOT_NEEDED == set()


def test_a_function_from_a_snapshot_asks_for_its_credentials(
    read_only: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    asked = []

    class Credentials(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            keys = dict.fromkeys(("AccessKeyId", "SecretAccessKey", "Token"), "local")
            self.wfile.write(json.dumps(keys | {"Expiration": until}).encode())

    # Lambda has none in its environment then.
    snapshot = {
        name: value for name, value in variables.items() if not name.endswith(("_ACCESS_KEY", "_ACCESS_KEY_ID"))
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), Credentials) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        snapshot["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"http://127.0.0.1:{server.server_port}/credentials"
        event = event_for("EnrollmentAutomationsFunction", tmp_path)
        finished = start(read_only, snapshot, "EnrollmentAutomationsFunction", event)
        server.shutdown()

    assert json.loads(finished.stdout.splitlines()[-1])["statusCode"] == 200
    assert asked == ["/credentials"]


def test_a_module_without_bytecode_is_noticed(build: Path, variables: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(build, tmp_path / "artefacts")
    bytecode_of(tmp_path / "artefacts/EnrollmentLayer/python/enrollment/store/table.py").unlink()

    finished = start(tmp_path / "artefacts", variables, "AuthorizerFunction")

    assert finished.returncode == 1
    assert "compiled from source: " in finished.stderr


def test_two_builds_in_different_folders_give_the_same_bytes(build: Path, checkout: Path) -> None:
    again = build_in(checkout, "build")

    assert files_of(again) == files_of(build)
    assert not [name for name in sorted(files_of(build)) if (again / name).read_bytes() != (build / name).read_bytes()]
    assert not [
        name for name in sorted(files_of(build)) if (again / name).stat().st_mode != (build / name).stat().st_mode
    ]
