"""Chromium and the sites that it is sent to; every window is watched for what must not happen."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.browser.person import Person, Watch
from tests.browser.site import Site, direct
from tests.local.running import Running, notegate

NewPerson = Callable[..., Person]
"""``new_person(name, **context)``: a person with a browser of their own."""

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Return the browser: the system's, or else Playwright's own."""
    expect.set_options(timeout=15_000)
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a ``notegate`` that all tests of a process share; each has its own users."""
    with notegate(tmp_path_factory.mktemp("notegate")) as running:
        yield running


@pytest.fixture
def site(running: Running) -> Site:
    """Return the page through the gateway."""
    return Site(running.url, running)


@pytest.fixture(params=["gateway", "stage", "direct"])
def every_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Return the page through the gateway, there under its stage, and through uvicorn alone."""
    if request.param != "direct":
        running: Running = request.getfixturevalue("running")
        yield Site(running.url + {"gateway": "", "stage": "/Prod"}[request.param], running)
        return
    with notegate(tmp_path) as own, direct(own, tmp_path) as site:
        yield site


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """Return a site whose user pool the test may change."""
    with notegate(tmp_path) as running:
        yield Site(running.url, running)


@pytest.fixture
def new_context(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Return what opens a browser profile of its own, watched until the test ends."""
    with ExitStack() as stack:

        def new_context(site: Site, **options: Any) -> BrowserContext:
            context = chromium.new_context(**{"viewport": {"width": 1000, "height": 800}} | options)
            stack.callback(context.close)
            watch = Watch(context, site)
            stack.callback(_check, context, watch)
            return context

        yield new_context


def _check(context: BrowserContext, watch: Watch) -> None:
    for page in context.pages:
        if page.url.startswith("http"):
            kept = page.evaluate("() => [localStorage.length, sessionStorage.length]")
            assert kept == [0, 0], page.url
    assert watch.wrong == []


@pytest.fixture
def new_person(new_context: Callable[..., BrowserContext]) -> NewPerson:
    """Return what brings a new person, who has an account."""

    def new_person(site: Site, name: str = "", **options: Any) -> Person:
        name = name or site.cognito.add_user(f"user-{uuid.uuid4().hex[:8]}")
        return Person(new_context(site, **options).new_page(), site, name)

    return new_person
