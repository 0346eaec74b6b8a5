"""An authorization request: read, judged, and answered by a redirect.

Source: "The redirect and authorization endpoint" in the Cognito developer guide; RFC 6749, 4.1;
RFC 7636; OpenID Connect Core, 3.1.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from app.local.cognito.asked import Params
from app.local.cognito.clients import Client

_PARAMETERS = (
    *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
    *("code_challenge", "code_challenge_method", "prompt", "login_hint", "lang"),
)
_NEED_OPENID = frozenset({"email", "phone", "profile"})
_PROMPTS = frozenset({"login", "select_account", "consent"})
_S256 = re.compile(r"[A-Za-z0-9_-]{43}")
_HOST = re.compile(r"[\w.-]+(:\d+)?", re.ASCII)


class Unanswerable(Exception):
    """A request that nobody may be redirected for: the message is for a page."""


class Denied(Exception):
    """A refusal that the app is told: ``url`` is where the browser goes."""

    def __init__(self, url: str) -> None:
        super().__init__("denied")
        self.url = url


@dataclass(frozen=True)
class Authorization:
    """A request of a known app client with a redirect URI of its own."""

    client: Client
    params: Params

    @property
    def redirect_uri(self) -> str:
        """Where the answer goes."""
        return self.params["redirect_uri"]

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that are asked for, each once: all of the app client's unless some are."""
        return tuple(dict.fromkeys(self.params.get("scope", "").split())) or self.client.scopes

    @property
    def prompts(self) -> frozenset[str]:
        """How the user wants to be asked."""
        return frozenset(self.params.get("prompt", "").split())

    @property
    def query(self) -> str:
        """The request again, for the pages: nothing in it but the parameters of a request."""
        return self.query_with()

    def query_with(self, **more: str) -> str:
        """Return the request for a page, with changed or further parameters."""
        known = {name: self.params[name] for name in _PARAMETERS if name in self.params}
        return urlencode(known | more)

    def back(self, **answer: str) -> str:
        """Return the redirect URI with an answer, and with the state just as it came."""
        if "state" in self.params:
            answer["state"] = self.params["state"]
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode(answer)}"

    def denied(self, error: str, description: str = "") -> Denied:
        """Make a refusal."""
        about = {"error_description": description} if description else {}
        return Denied(self.back(error=error, **about))

    def form_targets(self) -> Iterator[str]:
        """Where a form may lead in the end, for the pages' policy.

        Chromium applies ``form-action`` to the redirects after a form, too, so to the app's.
        """
        for url in self.client.callbacks:
            parts = urlsplit(url)
            if parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc):
                yield f"{parts.scheme}://{parts.netloc}"
            elif parts.scheme:
                yield f"{parts.scheme}:"


def read(query: Params, find: Callable[[str], Client | None]) -> Authorization:
    """Read a request.

    Raises:
        Unanswerable: the app client or its redirect URI is not known.
        Denied: anything else is wrong with it.
    """
    client = find(query.once("client_id"))
    if client is None:
        raise Unanswerable("The client_id is not the id of an app client.")
    uri = query.once("redirect_uri")
    # A fragment can't be registered at Cognito, and an answer behind one would not arrive.
    if uri not in client.callbacks or "#" in uri:
        raise Unanswerable(
            "The redirect_uri is not one of the app client's callback URLs. "
            "It has to be the same in every character."
        )
    request = Authorization(client, query)
    _judge(request)
    return request


def _judge(request: Authorization) -> None:
    client, params = request.client, request.params
    repeated = params.repeated & set(_PARAMETERS)
    if repeated:
        params.pop("state" if "state" in repeated else "", None)
        raise request.denied("invalid_request", f"{min(repeated)} is given more than once")
    kind = params.get("response_type")
    if kind is None:
        raise request.denied("invalid_request", "response_type is missing")
    if kind != "code":
        raise request.denied("unsupported_response_type", "Only the code flow is supported here")
    if "code" not in client.flows:
        raise request.denied("unauthorized_client", "The code flow is not enabled for this client")
    scopes = set(request.scopes)
    if not scopes or not scopes <= set(client.scopes):
        raise request.denied("invalid_scope", "A scope is not enabled for this client")
    if scopes & _NEED_OPENID and "openid" not in scopes:
        raise request.denied("invalid_scope", "These scopes need the scope openid")
    if not request.prompts <= _PROMPTS and request.prompts != {"none"}:
        raise request.denied("invalid_request", "prompt has a value that is not known")
    _judge_challenge(request)


def _judge_challenge(request: Authorization) -> None:
    challenge = request.params.get("code_challenge")
    method = request.params.get("code_challenge_method")
    if challenge is None and method is None:
        # Cognito takes it as well without; here nobody shall find out in the browser's history.
        if request.client.secret is None:
            raise request.denied("invalid_request", "code_challenge is missing (PKCE, S256)")
        return
    if method != "S256":
        raise request.denied("invalid_request", "code_challenge_method must be S256")
    if challenge is None or not _S256.fullmatch(challenge):
        raise request.denied("invalid_request", "code_challenge is not a SHA-256 in base64url")
