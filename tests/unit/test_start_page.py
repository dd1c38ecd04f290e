"""The first page of the local server, without the server that it is a page of."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from typing import override

import pytest

from enrollments.local.demo import demo
from enrollments.local.start_page import PATH, start_page
from local_aws.gateway import Request, Response

type Get = Callable[..., Response]


class Outline(HTMLParser):
    """What a page consists of, as far as a policy could refuse it.

    Attributes:
        attributes: The names of all attributes of all elements.
        addresses: What the page refers to.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: set[str] = set()
        self.addresses: set[str | None] = set()
        self.feed(html)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        self.addresses |= {value for name, value in attrs if name in {"href", "src"}}


@pytest.fixture
def get() -> Get:
    page = start_page(demo().variables)

    def get_() -> Response:
        response = page(Request("GET", PATH, []))
        assert response is not None
        return response

    return get_


def policy(response: Response) -> dict[str, str]:
    header = dict(response.headers)["Content-Security-Policy"]
    return dict(directive.split(" ", 1) for directive in header.split("; "))


def hash_of(response: Response, tag: str) -> str:
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>".encode(), response.body, re.DOTALL)
    return f"'sha256-{b64encode(sha256(content).digest()).decode()}'"


def settings(response: Response) -> dict[str, str]:
    (text,) = re.findall(rb'<script id="settings" type="application/json">(.*?)</script>', response.body, re.DOTALL)
    values: dict[str, str] = json.loads(text)
    return values


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", ["/", "/?from=terminal"])
def test_the_page_is_html_that_nobody_keeps(method: str, target: str) -> None:
    response = start_page(demo().variables)(Request(method, target, []))

    assert response is not None
    assert response.status == 200
    headers = dict(response.headers)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "target", ["//", "//user_identities/list", "/%2F", "/index.html", "/user_identities/list", "*"]
)
def test_every_other_path_is_left_to_the_api(target: str) -> None:
    assert start_page(demo().variables)(Request("GET", target, [])) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_other_verb_is_left_to_the_api(method: str) -> None:
    assert start_page(demo().variables)(Request(method, PATH, [])) is None


def test_the_policy_allows_the_pages_own_script_and_style_and_requests_to_its_server_only(get: Get) -> None:
    response = get()

    assert policy(response) == {
        "default-src": "'none'",
        "script-src": hash_of(response, "script"),
        "style-src": hash_of(response, "style"),
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_the_page_has_nothing_that_the_policy_would_refuse(get: Get) -> None:
    outline = Outline(get().body.decode())

    assert outline.addresses == {"data:,", "/docs"}
    assert "style" not in outline.attributes
    assert not [name for name in outline.attributes if name.startswith("on")]


def test_the_page_knows_the_demo(get: Get) -> None:
    variables = demo().variables

    assert settings(get()) == {
        "apiKey": variables["SEAM_API_KEY"],
        "credentialManagerId": variables["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
        "credentialPoolId": variables["ACS_CREDENTIAL_POOL_ID"],
        "accessSystemId": variables["ACS_SYSTEM_ID"],
    }


def test_a_setting_cannot_end_the_element_that_it_is_in() -> None:
    variables = {**demo().variables, "SEAM_API_KEY": "</script><script>alert(1)</script>"}

    response = start_page(variables)(Request("GET", PATH, []))

    assert response is not None
    assert settings(response)["apiKey"] == "</script><script>alert(1)</script>"
