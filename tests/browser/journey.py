"""A person's way through the back office: what they click, and what must hold on every page."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from django_otp.oath import TOTP
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, ViewportSize

from audit.models import STEP
from tests.conftest import PASSWORD
from tests.faults import scene
from tests.services import Stack

NUMBER = re.compile(r"555\D{0,3}01\d\d")  # what every fiction number used here holds
SCREEN: ViewportSize = {"width": 1280, "height": 900}

# Inputs that a person can reach and that nothing names.
UNLABELLED = """() => {
    const says = label => label.innerText.trim() || label.querySelector('img')?.alt;
    return [...document.querySelectorAll('input, select, textarea')]
        .filter(field => !['hidden', 'submit', 'button', 'image'].includes(field.type))
        .filter(field => field.checkVisibility())
        .filter(field => ![...field.labels].some(says))
        .filter(field => !field.ariaLabel && !field.getAttribute('aria-labelledby'))
        .map(field => field.name || field.id || field.outerHTML);
}"""


class Journey:
    """One browser window, and everything it complained of."""

    def __init__(
        self, stack: Stack, browser: Browser, *, name: str, secrets: Mapping[str, str]
    ) -> None:
        self.stack = stack
        self._secrets = secrets
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self._browser = browser
        self._name = name
        self._shots = 0
        self._desks: dict[str, Page] = {}
        self.page = self._new_window()

    def sit_down_as(self, role: str) -> None:
        """Go on at another person's desk, in a window that shares nothing with the others."""
        if role in self._desks:
            self.page = self._desks[role]
            return
        self.page = self._desks[role] = self._new_window()
        self.sign_in(role)

    def _new_window(self) -> Page:
        window = self._browser.new_context(viewport=SCREEN, locale="en-US")
        window.set_default_timeout(15_000)
        window.on("console", self._hear)
        window.on("weberror", lambda error: self.complaints.append(str(error.error)))
        window.on("request", self._note)
        return window.new_page()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def _note(self, request: Request) -> None:
        if request.url.startswith(self.stack.url):
            self.addresses.append(unquote(request.url))

    def check(self) -> None:
        """What must hold of the whole way."""
        assert self.complaints == []
        assert [address for address in self.addresses if NUMBER.search(address)] == []

    # --- looking

    def look(self, what: str) -> None:
        """Check the page and keep a picture of it."""
        self._check_page()
        self.keep_picture(self.page, what)

    def keep_picture(self, page: Page, what: str) -> None:
        """Write a picture to where $SCREENSHOTS says, if it does."""
        if folder := os.environ.get("SCREENSHOTS"):
            self._shots += 1
            file = Path(folder) / f"{self._name}-{self._shots:02}-{what.replace(' ', '-')}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=file, full_page=True)

    def _check_page(self) -> None:
        """A language, one heading of the first order, and a name for every input."""
        address = self.page.url
        assert self.page.locator("html").get_attribute("lang"), address
        assert self.page.locator("h1").count() == 1, address
        assert self.page.evaluate(UNLABELLED) == [], address

    def text(self) -> str:
        return self.page.locator("main").inner_text()

    # --- moving

    def go(self, path: str) -> None:
        self.page.goto(self.stack.url + path)

    def press(self, name: str) -> None:
        self.click(self.page.get_by_role("button", name=name, exact=True))

    def follow(self, name: str) -> None:
        self.click(self.page.get_by_role("link", name=name, exact=True).first)

    def click(self, what: Locator) -> None:
        """Press or follow something, and wait for the page it leads to."""
        what.click()
        self.page.wait_for_load_state()

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            self.page.locator(f"[name={name}]").fill(value)

    def reload_until(self, text: str, *, seconds: float = 45) -> None:
        """Load the page again, as a clerk would, until it says `text`, in letters of any size."""
        until = time.monotonic() + seconds
        while text not in self.text().lower():
            assert time.monotonic() < until, f"{text!r} never came:\n{self.text()}"
            time.sleep(0.3)
            self.page.reload()

    def sign_in(self, role: str) -> None:
        """By password and code, in this window, as the holder of a role."""
        self.go("/sign-in/")
        self.fill(username=scene.username(role), password=PASSWORD)
        self.press("Go on")
        self.fill(code=self.code(role))
        self.press("Sign in")
        self.page.wait_for_url("**/admin/**")

    def code(self, role: str) -> str:
        """What the app of a role's holder shows now."""
        return code_of(self._secrets[role])


def code_of(secret: str, *, steps_later: int = 0) -> str:
    """The code that an app shows for a secret in hexadecimal, now or some steps later."""
    totp = TOTP(bytes.fromhex(secret), step=STEP)
    totp.time = time.time() + steps_later * STEP
    return f"{totp.token():06}"
