"""Pages of another origin call the service from Chromium, by the JavaScript SDKs: ``make test-browser``."""

import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, override

import pytest
from selenium.webdriver import Chrome

from tests.acceptance.browser import open_browser
from tests.acceptance.conftest import IN_PROCESS, Service, serve_stack
from tests.acceptance.sdk import AUTOMATIONS, UNKNOWN, Outcome, codes

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not IN_PROCESS, reason="the origins of another service are not these pages'"),
]

JAVASCRIPT = Path(__file__).parent / "javascript"
BUNDLER = JAVASCRIPT / "bundler/node_modules/esbuild/bin/esbuild"
SDKS = ["http-1", "http-2"]
# The options that an SDK takes for each kind of token; `make run` prints their values.
OPTIONS = {
    "api_key": ["api_key"],
    "personal_access_token": ["personal_access_token", "workspace_id"],
    "client_session_token": ["client_session_token"],
}
UNKNOWN_TOKENS = {
    "api_key": "seam_testNone_PubLicDemoKeyForLocaLUse",
    "personal_access_token": "seam_at1testNone_PubLicDemoKeyForLocaLUse",
    "client_session_token": "seam_cst1testNone_PubLicDemoKeyForLocaLUse",
}
IDENTITIES = "/user_identities/list"
CALL = """
const [task, at_once, done] = arguments
Promise.all(Array.from({ length: at_once }, () => makeCalls(task))).then(
  (outcomes) => done({ outcomes: outcomes.flat() }),
  (error) => done({ thrown: `${error}` }),
)
"""


class Pages(SimpleHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page for each SDK, with its script in one file."""
    assert BUNDLER.exists(), "esbuild is not installed; `make test-browser` does that"
    folder = tmp_path_factory.mktemp("pages")
    for sdk in SDKS:
        source, script = JAVASCRIPT / sdk / "page.mjs", folder / f"{sdk}.js"
        command: list[Path | str] = [
            "node",
            BUNDLER,
            source,
            "--bundle",
            "--format=iife",
            "--log-level=warning",
            f"--outfile={script}",
        ]
        subprocess.run(command, check=True)  # noqa: S603 - our own
        (folder / f"{sdk}.html").write_text(f'<!doctype html><meta charset="utf-8"><script src="{sdk}.js"></script>')
    return folder


@pytest.fixture(scope="module")
def origin(folder: Path) -> Iterator[str]:
    """The origin of these pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def origins(origin: str) -> str:
    return f"https://app.example.com,{origin},https://other.example.com"


@pytest.fixture(scope="module")
def service(project: Path, origins: str) -> Iterator[Service]:
    with serve_stack(project, {"CorsOrigins": origins}) as service:
        yield service


@pytest.fixture
def uncached_service(project: Path, origins: str) -> Iterator[Service]:
    """A service that asks its authorizer each time, so that a session ends at once."""
    with serve_stack(project, {"CorsOrigins": origins, "AuthorizerCacheSeconds": "0"}) as service:
        yield service


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with open_browser(tmp_path_factory.mktemp("browser") / "profile") as browser:
        browser.set_script_timeout(60)
        yield browser


@pytest.fixture(params=SDKS)
def page(browser: Chrome, origin: str, request: pytest.FixtureRequest) -> Chrome:
    browser.get(f"{origin}/{request.param}.html")
    return browser


@pytest.fixture(params=OPTIONS)
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def options(service: Service, kind: str, *, token: str | None = None) -> dict[str, str]:
    """Return an SDK's options, with the demo workspace's token or another one."""
    values = {name: service[f"SEAM_{name.upper()}"] for name in OPTIONS[kind]}
    return {"endpoint": service.base_url} | values | ({kind: token} if token else {})


def answer(page: Chrome, options: dict[str, str], *calls: dict[str, Any], at_once: int = 1) -> dict[str, Any]:
    """Let a page make calls and return what became of them, or what was thrown that is no error of the API."""
    task = {"options": options, "calls": calls, "fields": ["limit"]}
    found: dict[str, Any] = page.execute_async_script(CALL, task, at_once)
    return found


def by_method(route: str, parameters: object = None) -> dict[str, Any]:
    return {"route": route, "parameters": parameters}


def by_post(route: str, parameters: object = None) -> dict[str, Any]:
    return {"route": route, "parameters": parameters, "verb": "POST"}


def outcomes(answer: dict[str, Any]) -> list[Outcome]:
    assert "thrown" not in answer, answer["thrown"]
    found: list[Outcome] = answer["outcomes"]
    return found


def test_a_page_reads_a_result(page: Chrome, service: Service, kind: str) -> None:
    by_its_verb, without_body, with_body = outcomes(
        answer(
            page,
            options(service, kind),
            by_method(IDENTITIES, {"limit": 5}),
            by_post(IDENTITIES),
            by_post(IDENTITIES, {"user_identity_ids": [service["USER_IDENTITY_ID"]]}),
        )
    )

    assert codes([by_its_verb, without_body, with_body]) == [None] * 3
    assert [identity["user_identity_id"] for identity in with_body["result"]] == [service["USER_IDENTITY_ID"]]


@pytest.mark.parametrize("call", [by_method(IDENTITIES, {}), by_post(IDENTITIES)], ids=["method", "post"])
def test_a_page_reads_that_its_token_is_unknown(page: Chrome, service: Service, kind: str, call: Any) -> None:
    (refused,) = outcomes(answer(page, options(service, kind, token=UNKNOWN_TOKENS[kind]), call))

    error = refused["error"]
    assert (error["class"], error["status_code"]) == ("SeamHttpUnauthorizedError", 401)
    assert error["has_request_id"]


def test_a_page_reads_that_a_client_session_may_not_launch(page: Chrome, service: Service) -> None:
    (refused,) = outcomes(
        answer(page, options(service, "client_session_token"), by_post(f"{AUTOMATIONS}/launch", service.pair()))
    )

    assert (refused["error"]["class"], refused["error"]["has_request_id"]) == ("SeamHttpUnauthorizedError", True)


def test_a_page_does_what_an_app_does_with_the_session_that_a_server_has_made(
    page: Chrome, uncached_service: Service
) -> None:
    """From the registration of its phone to the end of it, with the published verbs."""
    service = uncached_service
    pair = service.pair()
    identity = {"user_identity_id": pair["user_identity_id"]}
    assert service.launch(pair).status_code == 200
    asked = service.post("/acs/credentials/create", credential_of(pair))
    assert asked.status_code == 200, asked.text
    session = service.post("/client_sessions/get_or_create", identity).json()["client_session"]
    app = options(service, "client_session_token", token=session["token"])
    phone = {"custom_sdk_installation_id": "app", "phone_os": "ios", "phone_device_metadata": {"model": "iPhone 15"}}
    register = by_post("/seam/mobile_sdk/v1/phone_sessions/get_or_create", phone)

    itself, registered, again, credentials, events, all_phones = outcomes(
        answer(
            page,
            app,
            by_post("/client_sessions/get"),
            register,
            register,
            by_method("/acs/credentials/list", {}),
            by_method("/events/list", {"since": "2020-01-01T00:00:00.000Z"}),
            by_post("/phones/list"),
        )
    )

    assert itself["result"]["token"] == session["token"]
    assert registered["result"] == again["result"]
    assert registered["result"]["user_identity"]["user_identity_id"] == pair["user_identity_id"]
    assert len(registered["result"]["provider_sessions"]) == 1
    assert [one["acs_credential_id"] for one in credentials["result"]] == [
        asked.json()["acs_credential"]["acs_credential_id"]
    ]
    assert events["result"] == []  # nothing follows a request in this stack
    assert all_phones["error"]["class"] == "SeamHttpUnauthorizedError"

    (device,) = service.post("/phones/list", {"owner_user_identity_id": pair["user_identity_id"]}).json()["phones"]
    (deactivated,) = outcomes(answer(page, app, by_method("/phones/deactivate", {"device_id": device["device_id"]})))
    assert codes([deactivated]) == [None]
    assert service.post("/client_sessions/revoke", {"client_session_id": session["client_session_id"]}).json()["ok"]
    (refused,) = outcomes(answer(page, app, register))
    assert refused["error"]["class"] == "SeamHttpUnauthorizedError"


def credential_of(pair: dict[str, str]) -> dict[str, Any]:
    """Return the request for a credential of a person at the credential manager that the person is enrolled with."""
    return {
        "user_identity_id": pair["user_identity_id"],
        "acs_system_id": pair["credential_manager_acs_system_id"],
        "credential_manager_acs_system_id": pair["credential_manager_acs_system_id"],
        "access_method": "mobile_key",
        "is_multi_phone_sync_credential": True,
    }


def test_a_page_reads_that_something_is_not_there(page: Chrome, service: Service, kind: str) -> None:
    (missing,) = outcomes(
        answer(page, options(service, kind), by_post(f"{AUTOMATIONS}/list", {"user_identity_id": UNKNOWN}))
    )

    assert missing["error"]["class"] == "SeamHttpApiError"
    assert (missing["error"]["status_code"], missing["error"]["code"]) == (404, "user_identity_not_found")
    assert missing["error"]["has_request_id"]


def test_a_page_reads_that_a_route_is_not_there(page: Chrome, service: Service, kind: str) -> None:
    found = outcomes(answer(page, options(service, kind), by_post("/nowhere"), by_post("/user_identities/nowhere", {})))

    assert codes(found) == ["route_not_found"] * 2
    assert [outcome["error"]["status_code"] for outcome in found] == [404, 404]
    assert [outcome["error"]["has_request_id"] for outcome in found] == [True, True]


def test_a_page_reads_what_is_wrong_with_its_input(page: Chrome, service: Service, kind: str) -> None:
    by_its_verb, by_body = outcomes(
        answer(page, options(service, kind), by_method(IDENTITIES, {"limit": 0}), by_post(IDENTITIES, {"limit": 0}))
    )

    for invalid in (by_its_verb, by_body):
        assert invalid["error"]["class"] == "SeamHttpInvalidInputError"
        assert invalid["error"]["status_code"] == 400
        assert invalid["error"]["validation_errors"] == {"limit": ["Number must be greater than 0"]}


def test_a_page_reads_that_its_request_is_too_large(page: Chrome, service: Service, kind: str) -> None:
    call = by_post(IDENTITIES, {"search": "x" * 7_000_000})

    (refused,) = outcomes(answer(page, options(service, kind), call))

    assert (refused["error"]["status_code"], refused["error"]["code"]) == (413, "request_too_large")


def test_a_page_reads_that_it_is_throttled(page: Chrome, project: Path, origins: str, kind: str) -> None:
    limits = {"ThrottlingRateLimit": "1", "ThrottlingBurstLimit": "2"}
    with serve_stack(project, limits | {"CorsOrigins": origins}) as service:
        # One request and its preflight, which the browser then remembers.
        outcomes(answer(page, options(service, kind), by_post(IDENTITIES)))

        found = outcomes(answer(page, options(service, kind), by_post(IDENTITIES), at_once=20))

    throttled = [outcome["error"] for outcome in found if "error" in outcome]
    assert throttled
    assert {(error["class"], error["status_code"], error["code"]) for error in throttled} == {
        ("SeamHttpApiError", 429, "too_many_requests")
    }


def test_a_page_reads_that_the_service_is_unavailable(page: Chrome, project: Path, origins: str, kind: str) -> None:
    nowhere = {
        "RestoredTableName": "nowhere",
        "RestoredTableStreamArn": "arn:aws:dynamodb:us-east-1:123456789012:table/nowhere/stream/2026",
    }
    with serve_stack(project, {"CorsOrigins": origins, **nowhere}) as service:
        (failed,) = outcomes(answer(page, options(service, kind), by_post(IDENTITIES)))

    assert failed["error"]["class"] == "SeamHttpApiError"
    assert (failed["error"]["status_code"], failed["error"]["code"]) == (503, "service_unavailable")


def test_a_page_of_an_origin_that_is_not_named_reads_nothing(page: Chrome, project: Path, kind: str) -> None:
    with serve_stack(project, {"CorsOrigins": "https://app.example.com,https://other.example.com"}) as service:
        read = answer(page, options(service, kind), by_post(IDENTITIES))

    assert "Network Error" in read["thrown"]


@pytest.mark.parametrize("kind", ["api_key", "personal_access_token"])
def test_with_any_origin_a_page_reads_what_needs_no_credentials(page: Chrome, project: Path, kind: str) -> None:
    with serve_stack(project, {"CorsOrigins": "*"}) as service:
        found = outcomes(
            answer(page, options(service, kind), by_post(IDENTITIES), by_post(IDENTITIES, {"limit": 0}), by_post("/x"))
        )

    assert codes(found) == [None, "invalid_input", "route_not_found"]


def test_with_any_origin_no_page_can_use_a_client_session(page: Chrome, project: Path) -> None:
    with serve_stack(project, {"CorsOrigins": "*"}) as service:
        read = answer(page, options(service, "client_session_token"), by_post(IDENTITIES))

    assert "Network Error" in read["thrown"]
