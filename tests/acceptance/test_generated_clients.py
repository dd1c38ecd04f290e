"""Clients that are generated from the API document: they compile, and they launch.  ``make test-clients``."""

import json
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Service
from tests.fixtures import PROJECT

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

type Outcome = dict[str, Any]

DRIVERS = Path(__file__).parent / "clients"
ENVIRONMENT = PROJECT / ".venv-clients/bin"
NODE_MODULES = DRIVERS / "typescript/node_modules"
SCHEMAS = json.loads((PROJECT / "openapi.json").read_text())["components"]["schemas"]


def run(*command: Path | str, folder: Path, **options: Any) -> str:
    """Run a command and return what it prints; fail with all of it if that fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **options)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    printed: str = done.stdout
    return printed


def generate(generator: str, folder: Path, *options: str) -> Path:
    """Generate a client with openapi-generator."""
    run(
        ENVIRONMENT / "openapi-generator-cli",
        *("generate", "-i", str(PROJECT / "openapi.json"), "-g", generator, "-o", str(folder), *options),
        folder=folder.parent,
    )
    # The command's own status says nothing.
    assert (folder / ".openapi-generator/FILES").is_file(), f"openapi-generator made no client with {generator}"
    return folder


@pytest.fixture(scope="module")
def python_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate("python", tmp_path_factory.mktemp("python") / "client", "--package-name=enrollment_automations")


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the drivers in TypeScript with what they import."""
    folder = tmp_path_factory.mktemp("typescript") / "drivers"
    shutil.copytree(DRIVERS / "typescript", folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "generated").mkdir()
    generate("typescript-fetch", folder / "generated/typescript-fetch")
    run("node_modules/.bin/openapi-typescript", PROJECT / "openapi.json", "-o", "generated/schema.d.ts", folder=folder)
    return folder


@pytest.fixture(scope="module")
def compiled(typescript: Path) -> Path:
    run("node_modules/.bin/tsc", "--outDir", "compiled", folder=typescript)
    return typescript / "compiled"


def drive(service: Service, email_address: str, *command: Path | str, **options: Any) -> Outcome:
    """Have a client do what its driver says, and return what it was answered with."""
    names = ("SEAM_API_KEY", "SEAM_PERSONAL_ACCESS_TOKEN", "SEAM_WORKSPACE_ID", "ACS_SYSTEM_ID")
    task = {
        "base_url": service.base_url,
        "wrong_token": "junk",
        "email_address": email_address,
        "phone_number": "+15555550123",
        **{name.removeprefix("SEAM_").lower(): service[name] for name in names},
        **service.pair(),
    }
    outcome: Outcome = json.loads(run(*command, folder=PROJECT, input=json.dumps(task), **options))
    return outcome | {"task": task}


@pytest.fixture(scope="module", params=["python", "typescript_fetch", "openapi_fetch"])
def outcome(service: Service, request: pytest.FixtureRequest) -> Outcome:
    email_address = f"jo.o'doe+{request.param}@example.com"
    if request.param == "python":
        client: Path = request.getfixturevalue("python_client")
        driver = DRIVERS / "python/drive.py"
        return drive(
            service, email_address, ENVIRONMENT / "python", "-W", "error", driver, env={"PYTHONPATH": str(client)}
        )
    compiled: Path = request.getfixturevalue("compiled")
    return drive(service, email_address, "node", compiled / f"{request.param}.js")


def with_parsed_moment(automation: Outcome) -> Outcome:
    """Return an automation with its moment, which each language writes in its own way."""
    return automation | {"created_at": datetime.fromisoformat(automation["created_at"])}


def refusal(status: int, type_: str, **more: Any) -> Outcome:
    return {"status": status, "type": type_, "rules": None, "page_cursor": None, "names": None} | more


def test_a_launch_answers_the_automation(service: Service, outcome: Outcome) -> None:
    launched, task = outcome["launched"], outcome["task"]

    assert launched.keys() == SCHEMAS["EnrollmentAutomation"]["properties"].keys()
    assert launched["user_identity_id"] == task["user_identity_id"]
    assert launched["credential_manager_acs_system_id"] == task["credential_manager_acs_system_id"]
    assert launched["workspace_id"] == service["SEAM_WORKSPACE_ID"]
    assert launched["is_running"] is True


def test_the_same_launch_get_and_list_by_each_verb_answer_it_too(outcome: Outcome) -> None:
    launched = with_parsed_moment(outcome["launched"])

    assert [with_parsed_moment(other) for other in outcome["others"]] == [launched] * 6


def test_a_launch_with_other_parameters_is_an_error_that_names_the_automation(outcome: Outcome) -> None:
    names = outcome["launched"]["enrollment_automation_id"]

    assert outcome["conflict"] == refusal(409, "enrollment_automation_already_exists", names=names)


def test_what_is_wrong_with_a_field_is_read_by_its_name(outcome: Outcome) -> None:
    assert outcome["invalid"] == refusal(400, "invalid_input", rules=[], page_cursor=["Invalid page cursor"])


def test_a_broken_rule_over_several_fields_is_read(outcome: Outcome) -> None:
    rule = "Cannot specify credential_manager_acs_user_id when create_credential_manager_user is true"

    assert outcome["both_users"] == refusal(400, "invalid_input", rules=[rule])


def test_what_is_not_there_and_a_wrong_token_are_typed_errors(outcome: Outcome) -> None:
    assert outcome["not_found"] == refusal(404, "enrollment_automation_not_found")
    assert outcome["unauthorized"] == refusal(401, "unauthorized")


def test_a_deleted_automation_is_not_found(outcome: Outcome) -> None:
    assert outcome["deleted"] is True
    assert outcome["deleted_again"] == refusal(404, "enrollment_automation_not_found")


def test_null_takes_away_what_absent_leaves(outcome: Outcome) -> None:
    assert outcome["updated"] == [outcome["task"]["email_address"], None]


def test_moments_in_a_body_arrive(outcome: Outcome) -> None:
    scheduled = {name: datetime.fromisoformat(moment) for name, moment in outcome["scheduled"].items()}

    assert scheduled == {
        "starts_at": datetime.fromisoformat("2099-01-01T00:00:00Z"),
        "ends_at": datetime.fromisoformat("2099-01-02T00:00:00Z"),
    }


@pytest.mark.parametrize("pages", ["pages", "pages_by_get"])
def test_pages_have_every_user_identity_once(service: Service, outcome: Outcome, pages: str) -> None:
    listed = service.post("/user_identities/list", {}).json()["user_identities"]

    found = [identity for page in outcome[pages] for identity in page]
    assert len(outcome[pages]) > 1
    assert len(found) == len(set(found))
    # Other clients create some later.
    assert set(found) <= {identity["user_identity_id"] for identity in listed}
    assert outcome["task"]["user_identity_id"] in found


def test_the_client_in_python_has_types(python_client: Path) -> None:
    mypy = (ENVIRONMENT / "mypy", "--config-file=", "--no-incremental")
    environment = {"MYPYPATH": str(python_client)}

    run(*mypy, python_client / "enrollment_automations", folder=python_client, env=environment)
    run(
        *mypy,
        *("--strict", "--allow-untyped-calls", "--follow-imports=silent"),
        DRIVERS / "python/drive.py",
        folder=python_client,
        env=environment,
    )


@pytest.mark.parametrize(
    ("generator", "models", "others"),
    [
        ("python", "enrollment_automations/models/*.py", {"__init__"}),
        ("typescript-fetch", "models/*.ts", {"index"}),
        ("java", "src/main/java/**/model/*.java", {"AbstractOpenApiSchema"}),
    ],
)
def test_a_client_has_a_model_of_each_schema_and_no_other(
    tmp_path: Path, generator: str, models: str, others: set[str]
) -> None:
    options = ["--package-name=enrollment_automations"] if generator == "python" else []

    client = generate(generator, tmp_path / "client", *options)

    found = {file.stem for file in client.glob(models)} - others
    # A request without parameters is any object, which needs no model.
    modelled = {name for name, schema in SCHEMAS.items() if schema.get("properties") != {}}
    assert {name.replace("_", "").casefold() for name in found} == {name.casefold() for name in modelled}
