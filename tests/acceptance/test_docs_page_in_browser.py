"""``/docs`` of the local server in Chromium, as a person uses it: ``make test-browser``."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.acceptance.browser import open_browser
from tests.acceptance.conftest import IN_PROCESS, Service

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not IN_PROCESS, reason="the page is the local server's, not the API's"),
]

LAUNCH = "/user_identities/enrollment_automations/launch"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    with open_browser(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def page(browser: Chrome, service: Service) -> Chrome:
    """The browser with the page loaded and its API key filled in."""
    browser.get(f"{service.base_url}/docs")
    wait_for(browser, ".opblock")
    wait_for(browser, ".btn.authorize.locked")
    return browser


def wait_for(within: Chrome | WebElement, selector: str) -> WebElement:
    return WebDriverWait(within, 20).until(lambda within: within.find_elements(By.CSS_SELECTOR, selector))[0]


def log(browser: Chrome, kind: str) -> list[str]:
    """Return what a log of the browser has got since it was last read."""
    return [entry["message"] for entry in browser.get_log(kind)]  # type: ignore[no-untyped-call]


def requests(browser: Chrome) -> set[str]:
    """Return the addresses that were asked for, but for those that the browser answers itself."""
    messages = [json.loads(entry)["message"] for entry in log(browser, "performance")]
    return {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
        and not message["params"]["request"]["url"].startswith(("data:", "chrome:"))
    }


def routes(page: Chrome) -> dict[tuple[str, str | None], WebElement]:
    """Return the block of each route that is shown, by verb and path."""
    return {
        (
            block.find_element(By.CSS_SELECTOR, ".opblock-summary-method").text,
            block.find_element(By.CSS_SELECTOR, ".opblock-summary-path").get_attribute("data-path"),
        ): block
        for block in page.find_elements(By.CSS_SELECTOR, ".opblock")
        if block.is_displayed()
    }


def test_every_route_and_verb_of_the_document_is_shown(page: Chrome, project: Path) -> None:
    paths = json.loads((project / "openapi.json").read_text())["paths"]

    expected = {(verb.upper(), path) for path, operations in paths.items() for verb in operations}
    assert routes(page).keys() == expected


def test_a_launch_can_be_executed_as_it_is_filled_in(page: Chrome, service: Service, project: Path) -> None:
    launch = routes(page)["POST", LAUNCH]
    launch.find_element(By.CSS_SELECTOR, ".opblock-summary-control").click()
    wait_for(launch, ".execute").click()

    status = wait_for(launch, ".live-responses-table tbody .response-col_status").text
    body = wait_for(launch, ".live-responses-table tbody .highlight-code code").text

    (project / ".local").mkdir(exist_ok=True)
    page.save_screenshot(project / ".local/docs_page.png")
    assert status == "200"
    automation = json.loads(body)["enrollment_automation"]
    assert automation["user_identity_id"] == service["USER_IDENTITY_ID"]
    assert automation["workspace_id"] == service["SEAM_WORKSPACE_ID"]
    assert f"  200  POST   {LAUNCH}  " in service.terminal.getvalue()


def test_nothing_is_asked_of_another_host_and_nothing_is_refused(page: Chrome, service: Service) -> None:
    # With parts open that are drawn only then: some schemas, and a route of each family.
    for schema in page.find_elements(By.CSS_SELECTOR, ".json-schema-2020-12-expand-deep-button")[:5]:
        schema.click()
    shown = routes(page)
    launch = shown["POST", LAUNCH]
    families = {str(path).rpartition("/")[0]: route for (_, path), route in shown.items()}
    for route in (families | {LAUNCH.rpartition("/")[0]: launch}).values():
        route.find_element(By.CSS_SELECTOR, ".opblock-summary-control").click()
        wait_for(route, ".execute")
    launch.find_element(By.CSS_SELECTOR, ".execute").click()
    wait_for(launch, ".live-responses-table")
    page.find_element(By.CSS_SELECTOR, ".btn.authorize").click()
    wait_for(page, ".auth-container")

    assert requests(page) == {
        service.base_url + path
        for path in (
            "/docs",
            "/docs/init.js",
            "/docs/openapi.json",
            "/docs/swagger-ui-bundle.min.js",
            "/docs/swagger-ui.min.css",
            LAUNCH,
        )
    }
    assert log(page, "browser") == []  # where what the content security policy stops would be
