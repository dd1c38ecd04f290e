"""CORS: none by default; with origins, on every answer, errors of the gateway too."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import Service, serve_stack

ROUTES = [f"/user_identities/enrollment_automations/{name}" for name in ("launch", "get", "list", "delete")]
ORIGIN = "https://app.example.com"
ORIGINS = f"https://other.example.com,{ORIGIN}"


@pytest.fixture(scope="module")
def open_service(project: Path) -> Iterator[Service]:
    with serve_stack(project, {"CorsOrigins": ORIGINS}) as service:
        yield service


def preflight(service: Service, path: str, origin: str = ORIGIN) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return service.request("OPTIONS", path, headers=headers)


@pytest.mark.parametrize("path", [*ROUTES, "/nowhere"])
def test_a_preflight_needs_no_token(open_service: Service, path: str) -> None:
    response = preflight(open_service, path)

    assert response.status_code == 204
    assert {"GET", "POST", "DELETE"} <= set(response.headers["access-control-allow-methods"].split(","))
    allowed = response.headers["access-control-allow-headers"].lower().split(",")
    assert {"authorization", "client-session-token", "content-type", "seam-workspace"} <= set(allowed)
    assert response.headers["seam-request-id"]
    assert_readable(response, ORIGIN)


def test_another_origin_is_not_allowed(open_service: Service) -> None:
    response = preflight(open_service, ROUTES[0], "https://evil.example.com")

    assert "access-control-allow-origin" not in response.headers


def assert_readable(response: httpx.Response, origin: str) -> None:
    assert response.headers["access-control-allow-origin"] == origin
    assert response.headers["access-control-allow-credentials"] == "true"
    assert set(response.headers["access-control-expose-headers"].split(",")) == {"seam-request-id", "Retry-After"}
    assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", ORIGINS.split(","))
@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        (ROUTES[0], "SEAM_API_KEY", 400),
        (ROUTES[0], "REVOKED_SEAM_API_KEY", 401),
        (ROUTES[0], "SEAM_CLIENT_SESSION_TOKEN", 401),
        (ROUTES[0], "junk", 401),
        ("/nowhere", "SEAM_API_KEY", 404),
    ],
)
def test_errors_can_be_read_by_the_page_too(
    open_service: Service, path: str, token: str, status: int, origin: str
) -> None:
    headers = {"Authorization": f"Bearer {open_service.variables.get(token, token)}", "Origin": origin}

    response = open_service.request("POST", path, headers=headers, json={})

    assert response.status_code == status
    assert_readable(response, origin)


@pytest.mark.parametrize("path", [ROUTES[0], "/nowhere"])
def test_the_gateways_own_errors_name_the_origin_if_there_is_one(project: Path, path: str) -> None:
    with serve_stack(project, {"CorsOrigins": ORIGIN}) as service:
        response = service.request("POST", path, headers={"Origin": "https://evil.example.com"})

    assert response.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("path", [ROUTES[0], "/nowhere"])
def test_any_origin_may_be_allowed_without_credentials(project: Path, path: str) -> None:
    with serve_stack(project, {"CorsOrigins": "*"}) as service:
        answers = [
            preflight(service, path),
            service.request("POST", path, headers={"Origin": ORIGIN}),
            service.post(path, {}, headers={"Origin": ORIGIN}),
        ]

    assert [answer.headers["access-control-allow-origin"] for answer in answers] == ["*"] * 3
    assert not [answer for answer in answers if "access-control-allow-credentials" in answer.headers]


def test_an_app_of_another_origin_reads_its_session_with_the_tokens_that_the_sdk_sends(open_service: Service) -> None:
    token = open_service["SEAM_CLIENT_SESSION_TOKEN"]

    asked = preflight(open_service, "/client_sessions/get")
    response = open_service.post(
        "/client_sessions/get", {}, token=token, headers={"Origin": ORIGIN, "client-session-token": token}
    )

    assert asked.status_code == 204
    assert response.json()["client_session"]["token"] == token
    assert_readable(response, ORIGIN)


def test_an_answer_can_be_read_by_the_page(open_service: Service) -> None:
    response = open_service.launch(open_service.pair(), headers={"Origin": ORIGIN})

    assert response.status_code == 200
    assert_readable(response, ORIGIN)


@pytest.mark.gateway
@pytest.mark.parametrize("path", ROUTES)
def test_without_origins_there_is_no_cors_at_all(service: Service, path: str) -> None:
    answers = [
        preflight(service, path),
        service.request("POST", path, headers={"Origin": ORIGIN}),
        service.launch(service.pair(), headers={"Origin": ORIGIN}),
    ]

    assert [answer.status_code for answer in answers] == [404, 401, 200]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith(("access-control", "vary"))]
