"""The local server's first page in Chromium, as a person uses it: ``make test-browser``.

Each test starts without the page's person.  What it shows is kept in ``.local/screenshots``.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from local_aws.moto_server import serve_moto
from tests.acceptance.browser import log, open_browser, open_new_tab, requests, wait_for
from tests.acceptance.conftest import IN_PROCESS, Service, serve_stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not IN_PROCESS, reason="the page is the local server's, not the API's"),
]

EMAIL_ADDRESS = "sam.reed@example.com"
CREATE_PERSON = "/user_identities/create"
LAUNCH = "/user_identities/enrollment_automations/launch"
CREATE_CREDENTIAL = "/acs/credentials/create"
CREATE_SESSION = "/client_sessions/get_or_create"
REGISTER_PHONE = "/seam/mobile_sdk/v1/phone_sessions/get_or_create"
CREATE_SANDBOX_PHONE = "/phones/simulate/create_sandbox_phone"
DEACTIVATE = "/phones/deactivate"
STEPS = ["create-person", "launch", "create-credential", "create-session", "register-phone"]
DONE = [f'#step-{step}[data-state="done"]' for step in STEPS]
# The whole story takes seconds, but other tests may run meanwhile.
SECONDS = 60

type Shoot = Callable[[str], None]


@pytest.fixture(scope="module")
def live(project: Path) -> Iterator[Service]:
    """The local stack with all that follows a request."""
    with serve_moto("127.0.0.1") as moto, serve_stack(project, moto=moto) as service:
        yield service


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with open_browser(tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


@pytest.fixture
def page(browser: Chrome, live: Service) -> Chrome:
    """A new tab with the page loaded, and nobody on it."""
    for one in live.post("/user_identities/list", {"search": EMAIL_ADDRESS}).json()["user_identities"]:
        live.post("/user_identities/delete", {"user_identity_id": one["user_identity_id"]}).raise_for_status()
    open_new_tab(browser)
    browser.set_window_size(1280, 1040)  # of which the window's own parts take about 140
    browser.get(f"{live.base_url}/")
    wait_for(browser, ".phone.none")
    wait_for(browser, "#events")
    return browser


@pytest.fixture
def shoot(page: Chrome, project: Path, request: pytest.FixtureRequest) -> Shoot:
    """Return a function that keeps what the page shows, numbered and with a name."""
    folder = project / ".local/screenshots" / request.node.name
    folder.mkdir(parents=True, exist_ok=True)

    def shoot_(name: str) -> None:
        page.execute_script("window.scrollTo(0, 0)")
        page.save_screenshot(folder / f"{len(list(folder.glob('*.png'))) + 1}_{name}.png")

    for old in folder.glob("*.png"):
        old.unlink()
    return shoot_


def press(page: Chrome, button: str) -> None:
    """Press a button as soon as it can be used."""
    selector = f'#{button}[aria-disabled="false"]'
    wait_for(page, selector).click()


def see(page: Chrome, selector: str) -> WebElement:
    """Wait until the page shows something."""
    return WebDriverWait(page, SECONDS).until(lambda page: page.find_elements(By.CSS_SELECTOR, selector))[0]


def see_none(page: Chrome, selector: str) -> None:
    """Wait until the page shows nothing of a kind."""
    WebDriverWait(page, SECONDS).until_not(lambda page: page.find_elements(By.CSS_SELECTOR, selector))


def see_text(page: Chrome, selector: str, text: str) -> None:
    """Wait until a text is shown in one of the elements.  Elements may be drawn anew meanwhile."""
    wait = WebDriverWait(page, SECONDS, ignored_exceptions=[StaleElementReferenceException])
    wait.until(lambda page: any(text in one.text for one in page.find_elements(By.CSS_SELECTOR, selector)))


def create_phone(page: Chrome, model: str) -> None:
    """Make a person and what the person needs, and then a phone of a model."""
    for step in STEPS[:-1]:
        press(page, step)
        see(page, f'#step-{step}[data-state="done"]')
    Select(page.find_element(By.ID, "model")).select_by_visible_text(model)
    press(page, "create-sandbox-phone")
    see(page, ".phone[data-device]")


def sent(page: Chrome) -> list[str]:
    """Return the paths of the requests that the page shows, the first that was sent first."""
    entries = page.find_elements(By.CSS_SELECTOR, "#requests > li")
    return [str(entry.get_attribute("data-path")) for entry in reversed(entries)]


def test_at_first_there_is_one_button_to_press_and_no_phone(page: Chrome, shoot: Shoot) -> None:
    shoot("first")

    assert page.find_element(By.ID, "play").text == "Give a phone its credential"
    assert page.find_element(By.CSS_SELECTOR, "#phones h3").text == "No phone yet"
    assert sent(page) == []


def test_one_click_gives_a_phone_its_credential(page: Chrome, shoot: Shoot) -> None:
    press(page, "play")

    see(page, '.phone[data-state="registering"]')
    shoot("registered")
    see(page, '.phone[data-state="active"]')
    shoot("active")
    see(page, '.phone[data-state="active"] .key[data-state="issued"]')
    see_text(page, "#status", "Samsung Galaxy S10 has its credential")
    shoot("has_its_credential")


def test_a_phone_gets_a_credential_for_the_access_system_and_one_from_the_pool(page: Chrome) -> None:
    press(page, "play")

    see_text(page, '.key[data-state="issued"] strong', "Garage")
    see_text(page, '.key[data-state="issued"] strong', "Mobile credentials")


def test_one_click_sends_what_a_server_and_an_app_send(page: Chrome) -> None:
    press(page, "play")

    for step in DONE:
        see(page, step)
    assert sent(page) == [CREATE_PERSON, LAUNCH, CREATE_CREDENTIAL, CREATE_SESSION, REGISTER_PHONE]


def test_another_click_gives_another_phone_its_credential(page: Chrome, shoot: Shoot) -> None:
    press(page, "play")
    see(page, ".phone[data-device]")

    press(page, "play")

    see(page, ".phone[data-device] ~ .phone[data-device]")
    assert sent(page)[-2:] == [REGISTER_PHONE, REGISTER_PHONE]
    see(page, '.phone:first-child .key[data-state="issued"]')
    shoot("two_phones")


def test_the_story_can_be_played_step_by_step(page: Chrome, shoot: Shoot) -> None:
    for step, done in zip(STEPS, DONE, strict=True):
        press(page, step)
        see(page, done)
        shoot(step)

    see(page, '#step-phone-is-active[data-state="done"]')
    see(page, '#step-credential-is-issued[data-state="done"]')
    shoot("has_its_credential")


def test_a_step_cannot_be_taken_before_what_it_needs(page: Chrome) -> None:
    for step in STEPS[1:]:
        page.find_element(By.ID, step).click()

    assert sent(page) == []


def test_a_deactivated_phone_is_gone_and_its_credentials_are_deleted(page: Chrome, shoot: Shoot) -> None:
    press(page, "play")
    phone = see(page, '.phone[data-state="active"]:has(.key[data-state="issued"] ~ .key[data-state="issued"])')
    device_id = phone.get_attribute("data-device")

    press(page, f"deactivate-{device_id}")

    see(page, ".phone.none")
    shoot("deactivated")
    see_text(page, "#events summary", "phone.deactivated Samsung Galaxy S10")
    see_text(page, "#events summary", "acs_credential.deleted Garage")
    see_none(page, '#person [data-state="deleting"]')
    assert sent(page)[-1] == DEACTIVATE
    shoot("credentials_deleted")


def test_an_app_that_starts_again_finds_its_phone(page: Chrome) -> None:
    press(page, "play")
    phone = see(page, ".phone[data-device]")
    device_id = phone.get_attribute("data-device")

    press(page, f"start-{device_id}")

    see_text(page, "#requests summary", "Start again")
    see_none(page, "#requests .busy")
    assert len(page.find_elements(By.CSS_SELECTOR, f'.phone[data-device="{device_id}"]')) == 1
    assert len(page.find_elements(By.CSS_SELECTOR, ".phone")) == 1


def test_tearing_down_sends_the_published_order_and_leaves_nobody(page: Chrome, shoot: Shoot) -> None:
    press(page, "play")
    for step in DONE:
        see(page, step)

    press(page, "delete-everything")

    see_text(page, "#status", "Everything of the person is gone")
    assert sent(page)[5:] == [
        "/client_sessions/delete",
        "/acs/users/delete",
        "/acs/users/delete",
        "/user_identities/enrollment_automations/delete",
        DEACTIVATE,
        "/user_identities/delete",
    ]
    see_text(page, "#person", "nobody yet")
    see(page, ".phone.none")
    shoot("torn_down")


def test_the_story_can_be_played_again_after_it_was_torn_down(page: Chrome) -> None:
    press(page, "play")
    for step in DONE:
        see(page, step)
    press(page, "delete-everything")
    see_text(page, "#status", "Everything of the person is gone")

    press(page, "play")

    for step in DONE:
        see(page, step)
    assert sent(page)[-5:] == [CREATE_PERSON, LAUNCH, CREATE_CREDENTIAL, CREATE_SESSION, REGISTER_PHONE]


def test_a_phone_is_called_as_it_was_chosen(page: Chrome) -> None:
    create_phone(page, "Slow phone")

    assert page.find_element(By.CSS_SELECTOR, ".phone h3").text == "Slow phone"
    assert sent(page)[-1] == CREATE_SANDBOX_PHONE


@pytest.mark.parametrize(
    ("model", "reason"),
    [("Phone that fails for good", "phone_unsupported"), ("Phone with an empty pool", "pool_exhausted")],
)
def test_what_goes_wrong_at_the_manager_is_shown(page: Chrome, shoot: Shoot, model: str, reason: str) -> None:
    create_phone(page, model)

    see_text(page, ".phone .error", reason)
    shoot("error")


def test_events_are_shown_as_they_come(page: Chrome) -> None:
    press(page, "play")

    see_text(page, "#events summary", "enrollment_automation.launched Sam Reed")
    see_text(page, "#events summary", "acs_user.created in Main Tower")
    see_text(page, "#events summary", "phone.registered Samsung Galaxy S10")
    see_text(page, "#events summary", "acs_credential.issued Garage")


def test_what_others_do_is_shown_too(page: Chrome, live: Service) -> None:
    automation = live.launch(live.pair()).json()["enrollment_automation"]

    see_text(page, "#events summary", automation["user_identity_id"][-6:])


def test_a_request_is_shown_as_a_command_that_does_the_same(page: Chrome) -> None:
    press(page, "create-person")
    see(page, DONE[0])
    press(page, "launch")
    see(page, DONE[1])
    entry = page.find_element(By.CSS_SELECTOR, f'#requests > li[data-path="{LAUNCH}"]')
    command = entry.find_element(By.CSS_SELECTOR, ".request").text
    answer = entry.find_element(By.CSS_SELECTOR, ".answer").text

    by_curl = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)  # noqa: S603, S607

    assert json.loads(by_curl.stdout) == json.loads(answer)


def test_a_button_shows_its_request_before_it_is_pressed(page: Chrome) -> None:
    press(page, "create-person")
    see(page, DONE[0])

    page.find_element(By.ID, "launch-path").click()
    shown = page.find_element(By.ID, "launch-request").text
    press(page, "launch")
    see(page, DONE[1])

    assert page.find_element(By.CSS_SELECTOR, f'[data-path="{LAUNCH}"] .request').text == shown


def test_a_refused_request_is_shown_with_its_error(page: Chrome) -> None:
    press(page, "create-person")
    see(page, DONE[0])

    press(page, "create-person")

    see_text(page, "#requests summary", "409")
    see_text(page, "#requests .answer", "user_identity_already_exists")
    assert "refused" in page.find_element(By.ID, "status").text


def test_a_reload_shows_the_same_person_and_phones(page: Chrome) -> None:
    press(page, "play")
    device_id = see(page, ".phone[data-device]").get_attribute("data-device")

    page.refresh()

    see(page, f'.phone[data-device="{device_id}"]')
    see(page, f"#start-{device_id}")


def test_the_page_can_be_used_with_the_keyboard_alone(page: Chrome) -> None:
    page.find_element(By.ID, "play").send_keys(Keys.ENTER)
    device_id = see(page, ".phone[data-device]").get_attribute("data-device")
    see(page, f'#deactivate-{device_id}[aria-disabled="false"]').send_keys(Keys.SPACE)
    see(page, ".phone.none")

    # The button that was pressed is gone. The focus stays where it was.
    assert page.switch_to.active_element.get_attribute("id") == "phones"


def test_nothing_is_asked_of_another_host_and_nothing_is_refused(page: Chrome, live: Service) -> None:
    press(page, "play")
    for step in DONE:
        see(page, step)

    assert all(address.startswith(f"{live.base_url}/") for address in requests(page))
    assert log(page, "browser") == []  # where what the content security policy stops would be


@pytest.mark.parametrize("width", [500, 900])
def test_a_narrow_window_needs_no_scrolling_sideways(page: Chrome, shoot: Shoot, width: int) -> None:
    page.set_window_size(width, 1040)

    press(page, "play")

    see(page, ".phone[data-device]")
    shoot(f"{width}_wide")
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_a_hidden_page_asks_for_nothing(page: Chrome, live: Service) -> None:
    page.execute_script("Object.defineProperty(document, 'hidden', { value: true, writable: true })")
    time.sleep(4)  # longer than the page waits from one look to the next
    before = live.terminal.getvalue().count("/events/list")
    time.sleep(4)
    while_hidden = live.terminal.getvalue().count("/events/list")

    page.execute_script("document.hidden = false; document.dispatchEvent(new Event('visibilitychange'))")

    assert while_hidden == before
    WebDriverWait(page, SECONDS).until(lambda _: live.terminal.getvalue().count("/events/list") > before)
