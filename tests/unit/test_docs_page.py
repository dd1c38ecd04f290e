"""The page of the API document, without the server that it is mounted on."""

from pathlib import Path

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response

from enrollments.local.docs_page import PATH, docs_page

DOCUMENT = f"{PATH}/openapi.json"


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return tmp_path / "openapi.json"


@pytest.fixture
def client(document: Path) -> Client:
    return Client(DispatcherMiddleware(Response("the API", 418), {PATH: docs_page(document, "seam_key")}))


def text(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_data(as_text=True)


def test_a_renewed_document_is_shown_without_a_restart(client: Client, document: Path) -> None:
    document.write_text("{}")
    assert text(client.get(DOCUMENT)) == (200, "{}")

    document.write_text('{"openapi": "3.1.0"}')

    assert text(client.get(DOCUMENT)) == (200, '{"openapi": "3.1.0"}')


@pytest.mark.parametrize("path", [PATH, DOCUMENT])
def test_a_missing_document_is_one_line_that_says_how_to_write_it(client: Client, document: Path, path: str) -> None:
    assert text(client.get(path)) == (404, "openapi.json is missing; write it with: make openapi\n")

    document.write_text("{}")

    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", [f"{PATH}/x", f"{PATH}/../openapi.json", f"{PATH}/html.py", f"{PATH}//init.js/"])
def test_only_the_pages_own_files_are_served(client: Client, document: Path, path: str) -> None:
    document.write_text("{}")

    assert text(client.get(path)) == (404, "This is no page of the local server\n")


def test_a_page_takes_no_other_verb(client: Client) -> None:
    response = client.post(PATH, data="{}")

    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", f"{PATH}x", "/user_identities/docs", "*"])
def test_other_paths_stay_the_apis(client: Client, path: str) -> None:
    assert text(client.get(path)) == (418, "the API")


def test_an_api_key_cannot_end_the_string_that_it_is_in(document: Path) -> None:
    client = Client(docs_page(document, '"; alert("'))

    assert r'"\"; alert(\""' in client.get("/init.js").get_data(as_text=True)
