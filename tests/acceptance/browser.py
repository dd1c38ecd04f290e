"""Chromium without a screen, which reaches nothing but this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

# Where Debian's packages chromium and chromium-driver put them; Selenium would download others.
CHROMIUM, CHROMEDRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # No name resolves, so that nothing outside could answer either.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1280,2400",
)


@contextmanager
def open_browser(profile: Path) -> Iterator[Chrome]:
    """Start Chromium until the context ends.

    Args:
        profile: A folder of its own, which is not there yet.
    """
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SE_OFFLINE", "true")
        browser = Chrome(options, Driver(CHROMEDRIVER))
    try:
        yield browser
    finally:
        browser.quit()


def open_new_tab(browser: Chrome) -> None:
    """Go on in a new tab, which keeps nothing of others, with empty logs."""
    used = browser.current_window_handle
    browser.switch_to.new_window("tab")
    new = browser.current_window_handle
    browser.switch_to.window(used)
    browser.close()
    browser.switch_to.window(new)
    log(browser, "browser")
    log(browser, "performance")


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
