"""``/docs`` of the local server over HTTP."""

import re
from pathlib import Path

import pytest

from tests.acceptance.conftest import IN_PROCESS, Service

pytestmark = pytest.mark.skipif(not IN_PROCESS, reason="the page is the local server's, not the API's")

TYPES = {
    "/docs": "text/html; charset=utf-8",
    "/docs/init.js": "text/javascript; charset=utf-8",
    "/docs/openapi.json": "application/json",
    "/docs/swagger-ui-bundle.min.js": "text/javascript; charset=utf-8",
    "/docs/swagger-ui.min.css": "text/css; charset=utf-8",
}


@pytest.mark.parametrize("path", TYPES)
def test_the_page_and_its_files_have_their_types_and_are_not_kept(service: Service, path: str) -> None:
    response = service.request("GET", path)

    assert (response.status_code, response.headers["content-type"]) == (200, TYPES[path])
    assert response.content
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", TYPES)
def test_the_browser_may_load_from_this_server_only(service: Service, path: str) -> None:
    policy = service.request("GET", path).headers["content-security-policy"]

    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    assert directives.pop("default-src") == "'none'"
    assert directives.pop("img-src") == "'self' data:"
    assert set(directives.values()) == {"'self'", "'none'"}


@pytest.mark.parametrize("path", TYPES)
def test_head_answers_with_the_headers_of_get(service: Service, path: str) -> None:
    head, get = service.request("HEAD", path), service.request("GET", path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    assert head.headers["content-type"] == get.headers["content-type"]


def test_the_page_loads_what_is_served_and_names_no_other_host(service: Service) -> None:
    page, script = (service.request("GET", path).text for path in ("/docs", "/docs/init.js"))

    loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert set(loaded) == {*TYPES, "data:,"} - {"/docs", "/docs/openapi.json"}
    assert "/docs/openapi.json" in script
    assert not re.search(r"//(?!\s)", page + script)
    assert "<script>" not in page
    assert " style=" not in page


def test_the_document_is_the_file_beside_the_template(service: Service, project: Path) -> None:
    response = service.request("GET", "/docs/openapi.json")

    assert response.content == (project / "openapi.json").read_bytes()


def test_the_page_is_authorized_with_the_demo_workspaces_key(service: Service) -> None:
    assert f'"{service["SEAM_API_KEY"]}"' in service.request("GET", "/docs/init.js").text


def test_below_the_page_nothing_reaches_the_api(service: Service) -> None:
    response = service.request("GET", "/docs/user_identities")

    assert (response.status_code, response.text) == (404, "This is no page of the local server\n")
    assert "seam-request-id" not in response.headers


def test_beside_the_page_everything_is_the_apis(service: Service) -> None:
    response = service.request("GET", "/docs_of_something")

    assert (response.status_code, response.json()["error"]["type"]) == (404, "route_not_found")
