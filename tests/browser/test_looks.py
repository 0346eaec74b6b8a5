"""How the page looks, on every screen; what assistive technology makes of it; and its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # ships no types
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import NewPerson
from tests.browser.person import Person, Watch
from tests.browser.site import Site

pytestmark = pytest.mark.browser

NARROW: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}
NOTES = [
    "Ideas for the talk:\n– what a gateway refuses before you see it\n– why a mirror must not lie",
    "Grüße aus Köln ☕",
    "Call the library: two books are due on Friday.",
]
Scheme = Literal["light", "dark"]


def findings(page: Page) -> list[str]:
    """Return what axe-core finds: rule and element, of any severity."""
    found = Axe().run(page).response["violations"]
    return [f"{each['impact']} {each['id']}: {n['html']}" for each in found for n in each["nodes"]]


def fits(page: Page) -> bool:
    """Whether nothing makes the page scroll sideways."""
    return bool(page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"))


def write(person: Person) -> None:
    for text in NOTES:
        person.add(text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000])
def test_every_view_fits_and_axe_finds_nothing(
    site: Site, new_person: NewPerson, scheme: Scheme, width: int
) -> None:
    size = {"width": width, "height": 740}
    person = new_person(site, viewport=size, color_scheme=scheme, reduced_motion="reduce").open()
    page = person.page

    def check(view: str) -> None:
        assert fits(page), view
        assert findings(page) == [], view

    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    check("signed out")
    person.begin_to_sign_in().fill_in().expect_signed_in()
    person.sees("No notes yet")
    check("no notes")
    write(person)
    person.add("A word that does not end: " + "x" * 300)
    person.add("A very long note.\n" * 120)
    check("notes")
    page.get_by_text("Your token").click()
    check("token")
    page.get_by_text("Your token").click()
    person.edit(1, "changed here")
    check("editing")
    with site.api(person.name) as api:
        api.put("notes/1", json={"Note": "changed there " + "y" * 200})
    person.press("Save")
    person.sees("Note 1 was changed elsewhere")
    check("conflict")
    person.press("Sign out")
    person.sees("Sign out without saving?")
    check("dialog")
    person.press("Stay")
    person.press("Delete note 2")
    person.sees("Note 2 deleted")
    check("toast")
    page.context.set_offline(True)
    person.press("Add note")
    person.sees("You are offline. Go on")
    check("offline")


def test_a_picture_of_the_page_on_a_desk(
    site: Site, new_person: NewPerson, pytestconfig: pytest.Config
) -> None:
    name = site.cognito.add_user("ada")
    size = {"width": 1000, "height": 760}
    person = new_person(site, name, viewport=size, color_scheme="light")
    write(person.sign_in())
    person.page.reload()
    person.edit(1, "Ideas for the talk:\n– what a gateway refuses before you see it\n– live demo!")
    with site.api(person.name) as api:
        api.put("notes/1", json={"Note": NOTES[0] + "\n– questions"})
    person.press("Save")
    person.sees("Note 1 was changed elsewhere")
    background = person.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(246, 245, 241)"
    picture(person.page, pytestconfig, "desk-light.png")


def test_a_picture_of_the_page_on_a_telephone_at_night(
    site: Site, new_person: NewPerson, pytestconfig: pytest.Config
) -> None:
    name = site.cognito.add_user("grace")
    person = new_person(site, name, **NARROW, color_scheme="dark", device_scale_factor=2)
    write(person.sign_in())
    person.page.reload()
    person.press("Delete note 2")
    person.sees("Note 2 deleted")
    assert fits(person.page)
    background = person.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(21, 26, 24)"
    picture(person.page, pytestconfig, "telephone-dark.png")


def test_what_must_not_happen_would_be_noticed(site: Site, chromium: Browser) -> None:
    context = chromium.new_context()
    watch = Watch(context, site)
    page = context.new_page()
    page.goto(site.url)
    assert watch.wrong == []
    page.evaluate("() => { new Image().src = 'https://elsewhere.example/x'; }")
    page.evaluate("() => { const s = document.createElement('style'); document.head.append(s); }")
    page.evaluate("() => { setTimeout(() => { throw new Error('thrown'); }); }")
    page.evaluate("() => { location.assign('https://elsewhere.example/'); }")
    page.wait_for_timeout(500)
    seen = "\n".join(watch.wrong)
    assert "VIOLATION img-src" in seen
    assert "VIOLATION style-src" in seen
    assert "error: thrown" in seen.replace("Error: ", "")
    assert "request: https://elsewhere.example/" in seen
    context.close()


def picture(page: Page, config: pytest.Config, name: str) -> None:
    """Take a picture, where ``--screenshots`` says."""
    page.evaluate("() => scrollTo(0, 0)")
    folder = config.getoption("--screenshots")
    page.screenshot(path=Path(folder) / name if folder else None, animations="disabled")
