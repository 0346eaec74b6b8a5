"""/docs: Authorize signs in through the hosted endpoints, and "Try it out" then works."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPerson
from tests.browser.person import Person
from tests.browser.site import Site

pytestmark = pytest.mark.browser


def test_authorize_signs_in_and_try_it_out_works(every_site: Site, new_person: NewPerson) -> None:
    person = new_person(every_site).open("docs")
    page = person.page
    page.locator(".auth-wrapper .authorize").first.click()
    form = page.locator(".auth-container").filter(has_text="authorizationCode")
    expect(form.get_by_text("Application: ")).to_be_hidden()
    for scope in form.get_by_role("checkbox").all():
        scope.check(force=True)
    with page.expect_popup() as opened:
        form.get_by_role("button", name="Apply given OAuth2 credentials").click()
    with opened.value.expect_event("close"):
        Person(opened.value, every_site, person.name).fill_in()
    expect(form.get_by_role("button", name="Remove authorization")).to_be_visible()
    page.get_by_role("button", name="Close", exact=True).last.click()
    page.locator("#operations-userinfo-userinfo .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    answer = page.locator(".live-responses-table")
    expect(answer).to_contain_text(f'"name": "{person.name}"')


def test_a_way_back_that_nobody_waits_for_says_so(site: Site, new_person: NewPerson) -> None:
    person = new_person(site).open("docs/oauth2-redirect?code=secret&state=x")
    person.sees("press Authorize again")
    assert "secret" not in person.page.url
