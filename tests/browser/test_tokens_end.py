"""What happens while one writes: tokens end and are renewed, sessions end and are begun again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPerson
from tests.browser.person import Person
from tests.browser.site import Site

pytestmark = pytest.mark.browser


def end_session(person: Person) -> None:
    """End the session at Cognito, and wait until the page has noticed."""
    person.site.cognito.end_sessions(person.name)
    expect(person.page.get_by_role("dialog")).to_contain_text("Your session has ended")


def sign_in_again(person: Person, name: str = "") -> None:
    """Use the dialog's window, which closes by itself; another name is asked for its password."""
    if name:
        person.page.context.clear_cookies(path="/_cognito")
    with person.page.expect_popup() as opened:
        person.press("Sign in again", role="link")
    window: Page = opened.value
    if name:
        Person(window, person.site, name).fill_in()
    if not window.is_closed():
        window.wait_for_event("close")


def test_a_token_is_renewed_before_it_ends_and_nobody_notices(
    own_site: Site, new_person: NewPerson
) -> None:
    own_site.cognito.let_tokens_end_after(6)
    person = new_person(own_site).sign_in()
    page = person.page
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status))
    page.get_by_text("Your token").click()
    first = person.field("ID token").input_value()
    field = person.field("Text of the new note")
    field.press_sequentially("written while tokens come and go, " * 4, delay=100)
    expect(field).to_be_focused()
    person.press("Add note")
    expect(person.note(1)).to_contain_text("come and go")
    assert person.field("ID token").input_value() != first
    assert statuses
    assert all(status < 400 for status in statuses)
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_token_that_ended_while_the_machine_slept_is_renewed_when_needed(
    own_site: Site, new_person: NewPerson
) -> None:
    own_site.cognito.let_tokens_end_after(2)
    person = new_person(own_site)
    person.page.clock.install()
    person.sign_in()
    person.page.clock.pause_at(person.page.evaluate("Date.now()") + 1000)
    person.page.wait_for_timeout(2500)
    person.add("after the sleep")
    expect(person.note(1)).to_contain_text("after the sleep")


def test_unsaved_text_survives_an_ended_session(own_site: Site, new_person: NewPerson) -> None:
    own_site.cognito.let_tokens_end_after(6)
    person = new_person(own_site).sign_in().add("first")
    person.field("Text of the new note").fill("not yet added")
    person.edit(1, "not yet saved")
    end_session(person)
    sign_in_again(person)
    expect(person.page.get_by_role("dialog")).to_be_hidden()
    expect(person.field("Text of the new note")).to_have_value("not yet added")
    expect(person.field("Text of note 1")).to_have_value("not yet saved")
    person.press("Save")
    expect(person.note(1)).to_contain_text("not yet saved")
    person.press("Add note")
    expect(person.note(2)).to_contain_text("not yet added")


def test_somebody_elses_session_never_gets_this_ones_text(
    own_site: Site, new_person: NewPerson
) -> None:
    own_site.cognito.let_tokens_end_after(6)
    person = new_person(own_site).sign_in()
    person.field("Text of the new note").fill("private")
    end_session(person)
    other = own_site.cognito.add_user("other")
    sign_in_again(person, other)
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text(
        f"You signed in as other, but the text on this page is {person.name}’s"
    )
    person.press("Leave")
    person.expect_signed_in()
    person.sees("other@example.com")
    expect(person.field("Text of the new note")).to_have_value("")
    person.sees("No notes yet")


def test_who_leaves_an_ended_session_leaves_nothing_behind(
    own_site: Site, new_person: NewPerson
) -> None:
    own_site.cognito.let_tokens_end_after(6)
    person = new_person(own_site).sign_in().add("mine")
    end_session(person)
    person.press("Leave")
    person.expect_signed_out()
    expect(person.page.get_by_text("mine", exact=True)).to_have_count(0)


def test_the_token_panel_shows_the_token_its_claims_and_its_time(
    site: Site, new_person: NewPerson
) -> None:
    person = new_person(site)
    person.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    person.sign_in()
    person.page.get_by_text("Your token").click()
    token = person.field("ID token").input_value()
    with site.api(person.name) as api:
        api.headers["Authorization"] = token
        assert api.get("userinfo").json()["name"] == person.name
    claims = person.page.get_by_role("table")
    expect(claims.get_by_role("row", name=f"cognito:username {person.name}")).to_be_visible()
    expect(claims.get_by_role("row", name="token_use id")).to_be_visible()
    person.sees(re.compile(r"Ends in (60:00|59:\d\d)"))
    person.press("Copy token")
    person.sees("Copied")
    assert person.page.evaluate("() => navigator.clipboard.readText()") == token
