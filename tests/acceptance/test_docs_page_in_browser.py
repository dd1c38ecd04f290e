"""``/docs`` of the local server in Chromium, as a person uses it: ``make test-browser``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.acceptance.browser import log, open_browser, open_new_tab, requests, wait_for
from tests.acceptance.conftest import IN_PROCESS, Service

type Json = dict[str, Any]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not IN_PROCESS, reason="the page is the local server's, not the API's"),
]

AUTOMATIONS = "/user_identities/enrollment_automations"
LAUNCH = f"{AUTOMATIONS}/launch"
TYPED_ID = "00000000-0000-4000-8000-000000000001"
UNKNOWN_KEY = "seam_testNone_PubLicDemoKeyForLocaLUse"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with open_browser(tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


@pytest.fixture
def page(browser: Chrome, service: Service) -> Chrome:
    """A new tab with the page loaded and its API key filled in."""
    open_new_tab(browser)
    browser.get(f"{service.base_url}/docs")
    wait_for(browser, ".opblock")
    wait_for(browser, ".btn.authorize.locked")
    return browser


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


def opened(page: Chrome, method: str, path: str) -> WebElement:
    """Return the block of a route, opened."""
    block = wait_for(page, f'.opblock-{method.lower()}:has([data-path="{path}"])')
    if not block.find_elements(By.CSS_SELECTOR, ".execute"):
        block.find_element(By.CSS_SELECTOR, ".opblock-summary-control").click()
        wait_for(block, ".execute")
    return block


def execute(block: WebElement) -> Json:
    """Press the button and return the answer's body."""
    for clear in block.find_elements(By.CSS_SELECTOR, ".btn-clear"):
        clear.click()
    block.find_element(By.CSS_SELECTOR, ".execute").click()
    answer: Json = json.loads(wait_for(block, ".live-responses-table tbody .highlight-code code").text)
    return answer


def launch(page: Chrome, **parameters: str) -> str:
    """Launch with the example's parameters and these, and return the automation's id."""
    block = opened(page, "POST", LAUNCH)
    if parameters:
        type_body(block, body(block) | parameters)
    automation_id: str = execute(block)["enrollment_automation"]["enrollment_automation_id"]
    return automation_id


def create_user_identity(page: Chrome) -> str:
    """Create somebody who can be created twice, and return the ID."""
    block = opened(page, "POST", "/user_identities/create")
    type_body(block, {"full_name": "Jill Coe"})
    user_identity_id: str = execute(block)["user_identity"]["user_identity_id"]
    return user_identity_id


def body(block: WebElement) -> Json:
    """Return what the request body of a route is filled in with."""
    filled_in: Json = json.loads(wait_for(block, ".body-param__text").text)
    return filled_in


def query(block: WebElement, name: str) -> str:
    """Return what a parameter of a query string is filled in with."""
    return wait_for(block, f'tr[data-param-name="{name}"] input').get_attribute("value") or ""


def type_into(field: WebElement, text: str) -> None:
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(text)


def type_body(block: WebElement, parameters: Json) -> None:
    type_into(wait_for(block, ".body-param__text"), json.dumps(parameters))


def authorize(page: Chrome, scheme: str, token: str) -> None:
    """Enter a token in the dialog as a person does who has not looked at what else is there."""
    page.find_element(By.CSS_SELECTOR, ".btn.authorize").click()
    wait_for(page, ".auth-container")
    form = next(
        form
        for form in page.find_elements(By.CSS_SELECTOR, ".auth-container")
        if form.find_element(By.CSS_SELECTOR, "h4 code").text == scheme
    )
    form.find_element(By.CSS_SELECTOR, "input").send_keys(token)
    form.find_element(By.CSS_SELECTOR, ".auth-btn-wrapper .authorize").click()
    page.find_element(By.CSS_SELECTOR, ".close-modal").click()


def log_out(page: Chrome) -> None:
    """Log out of the one token that is in use, in the dialog."""
    page.find_element(By.CSS_SELECTOR, ".btn.authorize").click()
    wait_for(page, ".auth-container")
    for button in page.find_elements(By.CSS_SELECTOR, ".auth-btn-wrapper button"):
        if button.text == "Logout":
            button.click()
    page.find_element(By.CSS_SELECTOR, ".close-modal").click()


def whose_token(page: Chrome) -> str:
    return page.find_element(By.ID, "token").text


def test_every_route_and_verb_of_the_document_is_shown(page: Chrome, project: Path) -> None:
    paths = json.loads((project / "openapi.json").read_text())["paths"]

    expected = {(verb.upper(), path) for path, operations in paths.items() for verb in operations}
    assert routes(page).keys() == expected


def test_routes_are_shown_with_the_launch_first_and_deletions_last_in_each_group(page: Chrome, project: Path) -> None:
    paths = json.loads((project / "openapi.json").read_text())["paths"]

    shown = [path for _, path in routes(page)]
    assert list(dict.fromkeys(shown)) == list(paths)
    assert shown[0] == LAUNCH


def test_a_launch_can_be_executed_as_it_is_filled_in(page: Chrome, service: Service, project: Path) -> None:
    block = opened(page, "POST", LAUNCH)

    automation = execute(block)["enrollment_automation"]

    status = wait_for(block, ".live-responses-table tbody .response-col_status").text
    (project / ".local").mkdir(exist_ok=True)
    page.save_screenshot(project / ".local/docs_page.png")
    assert status == "200"
    assert automation["user_identity_id"] == service["USER_IDENTITY_ID"]
    assert automation["workspace_id"] == service["SEAM_WORKSPACE_ID"]
    assert f"  200  POST   {LAUNCH}  " in service.terminal.getvalue()


def test_nothing_is_asked_of_another_host_and_nothing_is_refused(page: Chrome, service: Service) -> None:
    # With parts open that are drawn only then: some schemas, and a route of each family.
    for schema in page.find_elements(By.CSS_SELECTOR, ".json-schema-2020-12-expand-deep-button")[:5]:
        schema.click()
    shown = routes(page)
    launch_block = shown["POST", LAUNCH]
    families = {str(path).rpartition("/")[0]: route for (_, path), route in shown.items()}
    for route in (families | {AUTOMATIONS: launch_block}).values():
        route.find_element(By.CSS_SELECTOR, ".opblock-summary-control").click()
        wait_for(route, ".execute")
    launch_block.find_element(By.CSS_SELECTOR, ".execute").click()
    wait_for(launch_block, ".live-responses-table")
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


@pytest.mark.parametrize("action", ["get", "delete"])
def test_what_was_launched_is_the_next_requests_example(page: Chrome, action: str) -> None:
    automation_id = launch(page)

    block = opened(page, "POST", f"{AUTOMATIONS}/{action}")
    assert body(block) == {"enrollment_automation_id": automation_id}
    assert execute(block)["ok"] is True


def test_what_was_launched_is_the_example_in_a_query_string(page: Chrome) -> None:
    automation_id = launch(page)

    block = opened(page, "GET", f"{AUTOMATIONS}/get")
    assert query(block, "enrollment_automation_id") == automation_id
    assert execute(block)["enrollment_automation"]["enrollment_automation_id"] == automation_id


def test_examples_that_are_open_follow_each_launch(page: Chrome) -> None:
    by_post = opened(page, "POST", f"{AUTOMATIONS}/get")
    by_get = opened(page, "GET", f"{AUTOMATIONS}/get")
    execute(by_post)
    execute(by_get)

    for _ in range(2):
        automation_id = launch(page)

        assert body(by_post) == {"enrollment_automation_id": automation_id}
        assert query(by_get, "enrollment_automation_id") == automation_id
        execute(opened(page, "POST", f"{AUTOMATIONS}/delete"))


def test_who_was_created_is_launched_and_listed_next(page: Chrome) -> None:
    created = create_user_identity(page)

    launched = execute(opened(page, "POST", LAUNCH))["enrollment_automation"]

    assert launched["user_identity_id"] == created
    listed = execute(opened(page, "POST", f"{AUTOMATIONS}/list"))["enrollment_automations"]
    assert listed == [launched]


def test_an_acs_user_that_was_created_is_the_example(page: Chrome) -> None:
    created = execute(opened(page, "POST", "/acs/users/create"))["acs_user"]["acs_user_id"]

    assert body(opened(page, "POST", "/acs/users/delete")) == {"acs_user_id": created}
    assert query(opened(page, "DELETE", "/user_identities/remove_acs_user"), "acs_user_id") == created


def test_a_launch_for_somebody_else_is_listed_next_and_changes_no_other_example(page: Chrome, service: Service) -> None:
    user_identity_id = body(opened(page, "POST", "/user_identities/delete"))["user_identity_id"]

    launch(page, user_identity_id=user_identity_id)

    assert body(opened(page, "POST", f"{AUTOMATIONS}/list")) == {"user_identity_id": user_identity_id}
    assert body(opened(page, "POST", "/user_identities/get")) == {"user_identity_id": service["USER_IDENTITY_ID"]}


def test_an_id_that_was_typed_stays(page: Chrome) -> None:
    by_post = opened(page, "POST", f"{AUTOMATIONS}/get")
    by_get = opened(page, "GET", f"{AUTOMATIONS}/get")
    type_body(by_post, {"enrollment_automation_id": TYPED_ID})
    type_into(wait_for(by_get, "tr[data-param-name] input"), TYPED_ID)

    launch(page)

    assert body(by_post) == {"enrollment_automation_id": TYPED_ID}
    assert query(by_get, "enrollment_automation_id") == TYPED_ID


def test_an_example_that_was_typed_into_keeps_what_was_typed(page: Chrome) -> None:
    update = opened(page, "POST", "/user_identities/update")
    type_body(update, body(update) | {"full_name": "Typed"})

    created = create_user_identity(page)

    assert body(update) == {"user_identity_id": created, "full_name": "Typed", "email_address": None}


def test_what_was_deleted_is_no_example_any_longer(page: Chrome) -> None:
    get = opened(page, "POST", f"{AUTOMATIONS}/get")
    example = body(get)
    launch(page)

    execute(opened(page, "DELETE", f"{AUTOMATIONS}/delete"))

    assert body(get) == example


def test_the_page_says_that_the_demos_key_is_in_use(page: Chrome) -> None:
    assert whose_token(page) == "Requests are authorized with the API key of the demo workspace."
    assert not page.find_element(By.ID, "use-demo-key").is_displayed()


@pytest.mark.parametrize("scheme", ["api_key", "pat_with_workspace", "client_session"])
def test_a_token_that_is_entered_replaces_the_demos_key(page: Chrome, scheme: str) -> None:
    if scheme == "api_key":
        log_out(page)

    authorize(page, scheme, UNKNOWN_KEY)

    assert whose_token(page) == "Requests are authorized with the API key that you entered: seam_testNone_…"
    for path in (LAUNCH, f"{AUTOMATIONS}/get"):
        assert execute(opened(page, "POST", path))["error"]["message"] == "API Key not found"


def test_a_client_session_is_sent_where_no_client_session_is_taken(page: Chrome, service: Service) -> None:
    authorize(page, "client_session", service["SEAM_CLIENT_SESSION_TOKEN"])

    assert "the client session that you entered: seam_cst1" in whose_token(page)
    assert execute(opened(page, "POST", "/user_identities/list"))["ok"] is True
    assert execute(opened(page, "POST", LAUNCH))["error"]["type"] == "unauthorized"


def test_a_personal_access_token_goes_with_a_workspace(page: Chrome, service: Service) -> None:
    authorize(page, "pat_with_workspace", service["SEAM_PERSONAL_ACCESS_TOKEN"])
    authorize(page, "seam_workspace", service["SEAM_WORKSPACE_ID"])

    assert "the personal access token that you entered: seam_at1" in whose_token(page)
    assert execute(opened(page, "POST", f"{AUTOMATIONS}/list"))["ok"] is True


def test_a_token_that_was_entered_last_is_in_use_after_a_reload(page: Chrome, service: Service) -> None:
    authorize(page, "client_session", UNKNOWN_KEY)
    authorize(page, "pat_with_workspace", service["SEAM_PERSONAL_ACCESS_TOKEN"])
    authorize(page, "seam_workspace", service["SEAM_WORKSPACE_ID"])

    page.refresh()

    wait_for(page, ".btn.authorize.locked")
    assert "the personal access token that you entered: seam_at1" in whose_token(page)
    assert execute(opened(page, "POST", LAUNCH))["ok"] is True


def test_one_click_takes_the_demos_key_again(page: Chrome) -> None:
    authorize(page, "client_session", UNKNOWN_KEY)

    page.find_element(By.ID, "use-demo-key").click()

    assert whose_token(page) == "Requests are authorized with the API key of the demo workspace."
    assert execute(opened(page, "POST", LAUNCH))["ok"] is True


def test_the_secret_of_a_token_is_not_shown(page: Chrome, service: Service) -> None:
    authorize(page, "client_session", service["SEAM_CLIENT_SESSION_TOKEN"])

    secret = service["SEAM_CLIENT_SESSION_TOKEN"].rpartition("_")[2]
    assert secret not in page.find_element(By.TAG_NAME, "body").text


def test_without_a_token_the_page_says_so(page: Chrome) -> None:
    log_out(page)

    assert whose_token(page) == "Requests are sent without a token."
    assert (
        execute(opened(page, "POST", LAUNCH))["error"]["message"] == "No Authorization header, or no valid token in it"
    )
