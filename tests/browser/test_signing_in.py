"""Signing in and out with a browser, at every door."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import NewPerson
from tests.browser.person import Person
from tests.browser.site import PASSWORD, Site, direct
from tests.local.running import notegate

pytestmark = pytest.mark.browser


def session_cookie(person: Person) -> tuple[str, str]:
    """Return the session cookie's name and value."""
    (found,) = (
        each for each in person.page.context.cookies() if "notegate-session" in each["name"]
    )
    assert found["httpOnly"]
    assert found["sameSite"] == "Strict"
    return found["name"], found["value"]


def test_from_signing_up_to_the_first_note_and_out_again(
    every_site: Site, new_context: Callable[..., BrowserContext]
) -> None:
    name = f"grace-{uuid.uuid4().hex[:8]}"
    person = Person(new_context(every_site).new_page(), every_site, name)
    page = person.open().page
    person.begin_to_sign_in().press("Sign up", role="link")
    person.field("Username").fill(name)
    person.field("Email").fill(f"{name}@example.com")
    person.field("Password").fill(PASSWORD)
    person.press("Sign up")
    person.sees("Confirm your account")

    inbox = page.context.new_page()
    inbox.goto(f"{every_site.cognito.url}/inbox")
    code = inbox.locator("code").first.inner_text()
    inbox.close()
    person.field("Confirmation code").fill(code)
    person.press("Confirm")
    if page.get_by_label("Password", exact=True).is_visible():
        person.fill_in()
    person.expect_signed_in()
    assert page.url == every_site.url
    person.sees(f"{name}@example.com")
    person.sees("No notes yet")

    person.add("My first note")
    expect(person.note(1)).to_contain_text("My first note")
    page.reload()
    person.expect_signed_in()
    expect(person.note(1)).to_contain_text("My first note")

    cookie, value = session_cookie(person)
    person.press("Sign out")
    person.expect_signed_out()
    assert page.url == every_site.url
    assert not [each for each in page.context.cookies() if "notegate" in each["name"]]
    page.go_back()
    expect(person.notes).to_have_count(0)
    person.open().expect_signed_out()
    old = httpx2.post(
        f"{every_site.url}auth/token",
        headers={"Cookie": f"{cookie}={value}", "Sec-Fetch-Site": "same-origin"},
        timeout=20,
    )
    assert old.status_code == 401
    # The sign-in page has forgotten it too.
    person.begin_to_sign_in()


def test_a_page_that_is_asked_for_without_its_slash_works(
    site: Site, new_person: NewPerson
) -> None:
    person = new_person(site)
    person.page.goto(f"{site.url}Prod")
    person.begin_to_sign_in().fill_in().expect_signed_in()
    assert person.page.url == f"{site.url}Prod/"


def test_a_wrong_password_can_be_corrected(site: Site, new_person: NewPerson) -> None:
    person = new_person(site).open().begin_to_sign_in()
    person.fill_in(password="wrong horse")
    person.sees("Incorrect username or password")
    person.fill_in().expect_signed_in()


def test_a_sign_in_that_cannot_be_finished_says_what_to_do(
    site: Site, new_person: NewPerson
) -> None:
    person = new_person(site)
    person.open("auth/callback?code=x&state=y")
    person.sees("Sign in once more")
    assert person.page.url == site.url
    person.begin_to_sign_in().fill_in().expect_signed_in()


def test_another_window_signs_in_and_out_with_this_one(site: Site, new_person: NewPerson) -> None:
    one = new_person(site).open()
    two = Person(one.page.context.new_page(), site, one.name).open()
    one.begin_to_sign_in().fill_in().expect_signed_in()
    two.expect_signed_in()
    one.add("seen by both")
    one.press("Sign out")
    one.expect_signed_out()
    two.sees("You signed out in another window")
    two.expect_signed_out()


def test_cognito_down_keeps_the_session_and_says_so(new_person: NewPerson, tmp_path: Path) -> None:
    with notegate(tmp_path) as own, direct(own, tmp_path) as site:
        site.cognito.let_tokens_end_after(6)
        person = new_person(site).sign_in().add("kept")
        own.process.terminate()
        own.process.wait(15)
        person.field("Text of the new note").fill("unsaved")
        person.sees("The sign-in service does not answer. This page keeps trying")
        person.press("Add note")
        person.sees(re.compile("The sign-in service does not answer: try again"))
        expect(person.field("Text of the new note")).to_have_value("unsaved")
        person.press("Sign out")
        person.page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
        person.sees("You are still signed in.")
        session_cookie(person)
        person.field("Text of the new note").fill("")
        person.page.reload()
        person.sees(re.compile("Could not look for your session"))
        expect(person.page.get_by_role("button", name="Try again")).to_be_visible()
        with notegate(tmp_path, port=int(own.url.rpartition(":")[2])):
            person.press("Try again")
            person.expect_signed_in()
            expect(person.note(1)).to_contain_text("kept")
