"""Notes on the page: written, edited in two windows, found, deleted and brought back."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Dialog, Route, expect

from tests.browser.conftest import NewPerson
from tests.browser.person import Person
from tests.browser.site import Site

pytestmark = pytest.mark.browser


def beside(person: Person) -> Person:
    """Return the same person at a second window."""
    return Person(person.page.context.new_page(), person.site, person.name).open()


def conflict(new_person: NewPerson, site: Site) -> tuple[Person, Person]:
    """Return two windows; in the first one stands a conflict over note 1."""
    one = new_person(site).sign_in().add("as it was")
    two = beside(one)
    expect(two.note(1)).to_be_visible()
    one.edit(1, "written here")
    two.edit(1, "written there")
    two.press("Save")
    expect(two.note(1)).to_contain_text("written there")
    one.press("Save")
    one.sees("Note 1 was changed elsewhere")
    expect(one.field("Your text")).to_have_value("written here")
    expect(one.page.get_by_role("region", name="Text saved elsewhere")).to_have_text(
        "written there"
    )
    return one, two


def texts(site: Site, person: Person) -> list[str]:
    with site.api(person.name) as api:
        return [note["Note"] for note in api.get("notes").json()]


def test_a_note_is_edited_and_survives_a_reload(site: Site, new_person: NewPerson) -> None:
    person = new_person(site).sign_in().add("old text").add("<b>not bold</b>")
    person.edit(1, "new text\nin two lines")
    person.press("Save")
    expect(person.note(1)).to_contain_text("new text\nin two lines")
    expect(person.note(2)).to_contain_text("<b>not bold</b>")
    person.page.reload()
    expect(person.note(1)).to_contain_text("new text\nin two lines")
    assert texts(site, person) == ["new text\nin two lines", "<b>not bold</b>"]


def test_a_conflict_shows_both_texts_and_mine_can_win(site: Site, new_person: NewPerson) -> None:
    one, _ = conflict(new_person, site)
    one.field("Your text").fill("both, by hand")
    one.press("Save yours")
    expect(one.note(1)).to_contain_text("both, by hand")
    assert texts(site, one) == ["both, by hand"]


def test_a_conflict_can_end_in_two_notes(site: Site, new_person: NewPerson) -> None:
    one, _ = conflict(new_person, site)
    one.press("Keep both")
    expect(one.note(1)).to_contain_text("written there")
    expect(one.note(2)).to_contain_text("written here")
    assert texts(site, one) == ["written there", "written here"]


def test_in_a_conflict_the_text_that_was_given_up_can_be_had_back(
    site: Site, new_person: NewPerson
) -> None:
    one, _ = conflict(new_person, site)
    one.press("Keep the other")
    expect(one.note(1)).to_contain_text("written there")
    one.press("Bring them back")
    expect(one.field("Text of note 1")).to_have_value("written here")
    one.press("Save")
    expect(one.note(1)).to_contain_text("written here")


def test_a_conflict_with_a_third_change_is_a_conflict_again(
    site: Site, new_person: NewPerson
) -> None:
    one, two = conflict(new_person, site)
    two.edit(1, "written there again")
    two.press("Save")
    expect(two.note(1)).to_contain_text("written there again")
    one.press("Save yours")
    theirs = one.page.get_by_role("region", name="Text saved elsewhere")
    expect(theirs).to_have_text("written there again")
    expect(one.field("Your text")).to_have_value("written here")


def test_what_is_written_survives_that_the_note_is_deleted_elsewhere(
    site: Site, new_person: NewPerson
) -> None:
    one = new_person(site).sign_in().add("as it was")
    two = beside(one)
    one.edit(1, "still wanted")
    two.press("Delete note 1")
    two.sees("Note 1 deleted")
    one.press("Save")
    one.sees("Note 1 was deleted elsewhere")
    one.press("Save it again")
    expect(one.note(1)).to_contain_text("still wanted")


def test_an_answer_that_got_lost_is_no_conflict(site: Site, new_person: NewPerson) -> None:
    person = new_person(site).sign_in().add("old")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    person.edit(1, "new")
    person.page.route("**/notes/1", lose, times=1)
    person.press("Save")
    person.sees("The server does not answer")
    expect(person.field("Text of note 1")).to_have_value("new")
    person.press("Save")
    expect(person.note(1)).to_contain_text("new")


def test_a_deleted_note_can_be_brought_back(site: Site, new_person: NewPerson) -> None:
    person = new_person(site).sign_in().add("one").add("two").add("three")
    person.press("Delete note 2")
    expect(person.notes).to_have_count(2)
    assert texts(site, person) == ["one", "three"]
    undo = person.page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    undo.press("Enter")
    expect(person.note(2)).to_contain_text("two")
    expect(person.page.get_by_role("button", name="Edit note 2")).to_be_focused()
    assert texts(site, person) == ["one", "two", "three"]


def test_a_note_that_was_changed_elsewhere_is_not_deleted_unseen(
    site: Site, new_person: NewPerson
) -> None:
    person = new_person(site).sign_in().add("old")
    with site.api(person.name) as api:
        api.put("notes/1", json={"Note": "new, and unseen"})
    person.press("Delete note 1")
    person.sees("you see the new text now")
    expect(person.note(1)).to_contain_text("new, and unseen")
    person.press("Delete note 1")
    expect(person.notes).to_have_count(0)
    assert texts(site, person) == []


def test_250_notes_come_in_pages(site: Site, new_person: NewPerson) -> None:
    person = new_person(site)
    with site.api(person.name) as api:
        for number in range(1, 251):
            note = {"Note": f"note of {'even' if number % 2 == 0 else 'ODD'} number {number}"}
            assert api.put(f"notes/{number}", json=note).status_code == 201
    person.sign_in()
    for shown in (50, 100, 150, 200):
        expect(person.notes).to_have_count(shown)
        person.sees(f"{shown} notes, and there are more")
        person.press("Show more")
    expect(person.notes).to_have_count(250)
    expect(person.page.get_by_role("button", name="Show more")).to_be_hidden()
    numbers = person.notes.get_by_role("button", name=re.compile("^Edit note")).evaluate_all(
        "found => found.map(each => Number(each.ariaLabel.slice(10)))"
    )
    assert numbers == list(range(1, 251))

    asked: list[str] = []
    person.page.on("request", lambda r: asked.append(r.url) if "search" in r.url else None)
    person.field("Search your notes").press_sequentially("odd number 24", delay=20)
    person.sees("5 notes found for “odd number 24”")
    expect(person.notes).to_have_count(5)
    # Searched as one types, and not at each key.
    assert 1 <= len(asked) <= 4
    person.field("Search your notes").fill("nowhere")
    person.sees("No note contains “nowhere”")
    person.field("Search your notes").fill("even")
    person.sees("50 notes found for “even”, and there are more")
    person.press("Search on")
    expect(person.notes).to_have_count(100)
    person.field("Search your notes").fill("")
    expect(person.notes).to_have_count(50)


def test_a_text_being_edited_outlives_a_search(site: Site, new_person: NewPerson) -> None:
    person = new_person(site).sign_in().add("apple").add("pear")
    person.edit(1, "apple, unsaved")
    person.field("Search your notes").fill("pear")
    expect(person.note(2)).to_be_visible()
    expect(person.field("Text of note 1")).to_have_value("apple, unsaved")


def test_an_older_search_never_overwrites_a_newer_one(site: Site, new_person: NewPerson) -> None:
    person = new_person(site).sign_in().add("apple").add("pear")
    held: list[Route] = []
    person.page.route("**/notes/search?text=apple*", lambda route: held.append(route))
    person.field("Search your notes").fill("apple")
    person.sees("Searching …")
    person.page.wait_for_timeout(500)
    person.field("Search your notes").fill("pear")
    person.sees("1 note found for “pear”")
    for route in held:
        route.abort()
    expect(person.notes).to_have_count(1)
    expect(person.note(2)).to_be_visible()


def test_offline_nothing_is_lost_and_saving_works_later(site: Site, new_person: NewPerson) -> None:
    person = new_person(site).sign_in().add("before")
    person.page.context.set_offline(True)
    person.sees("You are offline. Go on writing")
    person.field("Text of the new note").fill("written offline")
    person.press("Add note")
    person.sees("Could not add the note. You are offline")
    expect(person.field("Text of the new note")).to_have_value("written offline")
    person.press("Delete note 1")
    person.sees("Could not delete the note. You are offline")
    person.page.context.set_offline(False)
    expect(person.page.get_by_text("You are offline. Go on")).to_be_hidden()
    person.press("Add note")
    expect(person.note(2)).to_contain_text("written offline")


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (503, {"Retry-After": "7"}, '{"message":"Service Unavailable"}', "try again in 7 seconds"),
        (500, {}, '{"message":"Internal server error"}', "try again in a minute"),
        (413, {}, '{"message":"Request Too Long"}', "at most 256 KiB"),
        (429, {}, '{"message":"Too Many Requests"}', "wait a moment"),
        (400, {}, '{"message":"x","errors":[{"field":"Note","reason":"is odd"}]}', "is odd"),
        (502, {}, "<html>", "try again in a minute"),
    ],
)
def test_every_failure_says_what_to_do_and_keeps_the_text(
    site: Site,
    new_person: NewPerson,
    status: int,
    headers: dict[str, str],
    body: str,
    said: str,
) -> None:
    person = new_person(site).sign_in()
    person.page.route(
        "**/notes", lambda route: route.fulfill(status=status, headers=headers, body=body), times=1
    )
    person.field("Text of the new note").fill("precious")
    person.press("Add note")
    alert = person.page.get_by_role("alert").filter(visible=True)
    expect(alert).to_contain_text("Could not add the note.")
    expect(alert).to_contain_text(said)
    expect(person.field("Text of the new note")).to_have_value("precious")
    person.press("Add note")
    expect(person.note(1)).to_contain_text("precious")


def test_every_action_shows_that_it_is_under_way(site: Site, new_person: NewPerson) -> None:
    person = new_person(site).sign_in()
    held: list[Route] = []
    person.page.route("**/notes", lambda route: held.append(route), times=1)
    person.field("Text of the new note").fill("slow")
    person.press("Add note")
    busy = person.page.get_by_role("button", name="Adding …")
    expect(busy).to_have_attribute("aria-busy", "true")
    busy.click()  # once is enough
    expect(busy).to_be_visible()
    (route,) = held
    route.continue_()
    expect(person.note(1)).to_be_visible()
    assert texts(site, person) == ["slow"]


def test_who_leaves_with_unsaved_text_is_asked_first(site: Site, new_person: NewPerson) -> None:
    person = new_person(site).sign_in()
    person.field("Text of the new note").fill("unsaved")
    person.press("Sign out")
    person.press("Stay")
    person.expect_signed_in()
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    person.page.on("dialog", stay)
    person.page.reload()
    assert asked == ["beforeunload"]
    person.expect_signed_in()
    person.press("Sign out")
    person.expect_signed_out()


def test_the_same_keys_do_everything(site: Site, new_person: NewPerson) -> None:
    """Nothing here is clicked: sign in, add, edit, delete, bring back, sign out by keyboard."""
    person = new_person(site).open()
    keys = person.page.keyboard

    def to(name: str, role: str = "button") -> None:
        kind: object = role
        wanted = person.page.get_by_role(kind, name=name, exact=True)  # type: ignore[arg-type] # one of its literals
        expect(wanted).to_be_visible()
        for _ in range(60):
            if wanted.evaluate("each => each === document.activeElement"):
                return
            keys.press("Tab")
        raise AssertionError(f"{name} cannot be reached by Tab")

    to("Sign in", "link")
    keys.press("Enter")
    to("Username", "textbox")
    keys.type(person.name)
    keys.press("Tab")
    keys.type("correct horse")
    keys.press("Enter")
    person.expect_signed_in()
    keys.press("Tab")
    expect(person.page.get_by_role("link", name="Skip to the notes")).to_be_focused()
    to("Text of the new note", "textbox")
    keys.type("by keyboard")
    keys.press("Control+Enter")
    expect(person.note(1)).to_contain_text("by keyboard")
    to("Edit note 1")
    keys.press("Enter")
    expect(person.field("Text of note 1")).to_be_focused()
    keys.type(" alone")
    keys.press("Control+Enter")
    expect(person.note(1)).to_contain_text("alone")
    expect(person.page.get_by_role("button", name="Edit note 1")).to_be_focused()
    to("Delete note 1")
    keys.press("Enter")
    expect(person.page.get_by_role("button", name="Undo")).to_be_focused()
    keys.press("Enter")
    expect(person.note(1)).to_be_visible()
    keys.press("Shift+Tab")
    to("Sign out")
    keys.press("Enter")
    person.expect_signed_out()


def test_somebody_elses_notes_are_not_there(
    site: Site, new_person: NewPerson, new_context: Callable[..., BrowserContext]
) -> None:
    new_person(site).sign_in().add("mine alone")
    other = new_person(site).sign_in()
    other.sees("No notes yet")
    expect(other.notes).to_have_count(0)
