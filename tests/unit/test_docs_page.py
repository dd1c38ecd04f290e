"""The page of the API document, without the server that it is a page of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from enrollments.local.docs_page import PATH, docs_page
from local_aws.gateway import Request, Response

DOCUMENT = f"{PATH}/openapi.json"

type Send = Callable[..., Response]


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return tmp_path / "openapi.json"


@pytest.fixture
def send(document: Path) -> Send:
    page = docs_page(document, "seam_key")
    return lambda target, method="GET": page(Request(method, target, []))


def text(response: Response) -> tuple[int, str]:
    return response.status, response.body.decode()


def test_a_renewed_document_is_shown_without_a_restart(send: Send, document: Path) -> None:
    document.write_text("{}")
    assert text(send(DOCUMENT)) == (200, "{}")

    document.write_text('{"openapi": "3.1.0"}')

    assert text(send(DOCUMENT)) == (200, '{"openapi": "3.1.0"}')


@pytest.mark.parametrize("path", [PATH, DOCUMENT])
def test_a_missing_document_is_one_line_that_says_how_to_write_it(send: Send, document: Path, path: str) -> None:
    assert text(send(path)) == (404, "openapi.json is missing; write it with: make openapi\n")

    document.write_text("{}")

    assert send(path).status == 200


@pytest.mark.parametrize("path", [f"{PATH}/x", f"{PATH}/../openapi.json", f"{PATH}/html.py", f"{PATH}//init.js/"])
def test_only_the_pages_own_files_are_served(send: Send, document: Path, path: str) -> None:
    document.write_text("{}")

    assert text(send(path)) == (404, "This is no page of the local server\n")


def test_a_page_takes_no_other_verb(send: Send) -> None:
    response = send(PATH, "POST")

    assert response.status == 405
    assert ("Allow", "GET, HEAD") in response.headers


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (PATH, "text/html; charset=utf-8"),
        (f"{PATH}/?q", "text/html; charset=utf-8"),
        (f"{PATH}/init.js", "text/javascript; charset=utf-8"),
        (f"{PATH}/swagger-ui-bundle.min.js", "text/javascript; charset=utf-8"),
        (f"{PATH}/swagger-ui.min.css", "text/css; charset=utf-8"),
        (DOCUMENT, "application/json"),
        (f"{PATH}/x", "text/plain; charset=utf-8"),
    ],
)
def test_each_file_says_what_it_is(send: Send, document: Path, path: str, kind: str) -> None:
    document.write_text("{}")

    headers = dict(send(path).headers)

    assert headers["Content-Type"] == kind
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")


def test_an_api_key_cannot_end_the_string_that_it_is_in(document: Path) -> None:
    page = docs_page(document, '"; alert("')

    assert r'"\"; alert(\""' in page(Request("GET", f"{PATH}/init.js", [])).body.decode()
