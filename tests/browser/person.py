"""A person in front of the page: what they can see, press and type, by the names they read."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from tests.browser.site import PASSWORD, Site

_REPORT = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`VIOLATION ${event.violatedDirective} ${event.blockedURI}`));"""


class Watch:
    """What must not happen in any window of a context, whatever the test is about."""

    def __init__(self, context: BrowserContext, site: Site) -> None:
        self.allowed = {_origin(site.url), _origin(site.running.url)}
        self.wrong: list[str] = []
        context.add_init_script(_REPORT)
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.wrong.append(f"error: {error.error}"))

    def _request(self, request: Request) -> None:
        if request.url.startswith("http") and _origin(request.url) not in self.allowed:
            self.wrong.append(f"request: {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if "VIOLATION" in message.text or "Content Security Policy" in message.text:
            self.wrong.append(message.text)


class Person:
    """A person at one window."""

    def __init__(self, page: Page, site: Site, name: str = "") -> None:
        self.page = page
        self.site = site
        self.name = name

    # --- the page ---

    def open(self, path: str = "") -> Person:
        """Go to the page."""
        self.page.goto(self.site.url + path)
        return self

    def sees(self, text: str | re.Pattern[str]) -> Locator:
        """Expect a text, and return where it is."""
        found = self.page.get_by_text(text).filter(visible=True).first
        expect(found).to_be_visible()
        return found

    def press(self, name: str | re.Pattern[str], **more: Any) -> None:
        """Press a button or follow a link."""
        role: Any = more.pop("role", "button")
        self.page.get_by_role(role, name=name, exact=isinstance(name, str), **more).click()

    def field(self, label: str) -> Locator:
        """Return the field with that label."""
        return self.page.get_by_label(label, exact=True)

    def note(self, number: int) -> Locator:
        """Return a note in the list."""
        return self.page.get_by_role("listitem").filter(
            has=self.page.get_by_role("button", name=f"Edit note {number}", exact=True)
        )

    @property
    def notes(self) -> Locator:
        """The notes in the list."""
        return self.page.locator("#list > li")

    def expect_signed_in(self) -> Person:
        """Expect to be."""
        expect(self.page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()
        return self

    def expect_signed_out(self) -> Person:
        """Expect not to be, and that nothing of anybody's is left."""
        expect(self.page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
        expect(self.notes).to_have_count(0)
        return self

    # --- signing in ---

    def begin_to_sign_in(self) -> Person:
        """Go to the sign-in page."""
        self.press("Sign in", role="link")
        expect(self.field("Username")).to_be_visible()
        return self

    def fill_in(self, name: str = "", password: str = PASSWORD) -> Person:
        """Fill the sign-in page in and send it."""
        self.field("Username").fill(name or self.name)
        self.field("Password").fill(password)
        self.press("Sign in")
        return self

    def sign_in(self) -> Person:
        """Sign in."""
        return self.open().begin_to_sign_in().fill_in().expect_signed_in()

    # --- notes ---

    def add(self, text: str) -> Person:
        """Add a note."""
        self.field("Text of the new note").fill(text)
        self.press("Add note")
        expect(self.field("Text of the new note")).to_have_value("")
        return self

    def edit(self, number: int, text: str) -> Locator:
        """Open a note and write; return the field."""
        self.press(f"Edit note {number}")
        field = self.field(f"Text of note {number}")
        field.fill(text)
        return field


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
