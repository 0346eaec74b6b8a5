"""Hosted sign-in of a running ``notegate``: the addresses that it may lead back to."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from tests.local.cognito.browser import CHALLENGE, Browser
from tests.local.running import CLIENT_ID, notegate


def test_sign_in_leads_back_to_the_app_and_its_docs_with_and_without_stage(tmp_path: Path) -> None:
    with notegate(tmp_path, "--stage", "test") as running, httpx2.HTTPTransport() as transport:
        assert re.search(rf"mails +{running.url}/_cognito/inbox", running.log)
        browser = Browser(f"{running.url}/_cognito", transport)
        request = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        port = urlsplit(running.url).port
        roots = [
            f"http://{h}:{port}{s}/" for h in ("127.0.0.1", "localhost") for s in ("", "/test")
        ]
        targets = [
            root + page for root in roots for page in ("auth/callback", "docs/oauth2-redirect")
        ]
        page = browser.get("oauth2/authorize", **request, redirect_uri=targets[0])
        browser.submit(page, "Sign in", Username="student", Password="student")
        for target in targets:
            browser.get("oauth2/authorize", **request, redirect_uri=target)
            assert browser.at.startswith(f"{target}?code=")
        for root in roots:
            browser.get("logout", client_id=CLIENT_ID, logout_uri=root)
            assert browser.at == root
