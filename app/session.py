"""/auth: signing in with a browser, through Cognito's hosted endpoints.

The refresh token never reaches a script: it is in an ``HttpOnly`` cookie, and ``POST /auth/token``
trades it for the short-lived token that the page keeps in memory and sends as ``Authorization``,
as every other client does (the "token handler" of the IETF's OAuth 2.0 for Browser-Based
Applications, section 6.2). Nothing is kept here, so any Lambda environment can go on with it.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from app import address
from app.auth import Claims, KeysUnavailable, TokenRefused, TokenVerifier
from app.errors import ApiError, error_response, unavailable
from app.hosted import (
    ClientRefused,
    GrantRefused,
    HostedEndpoints,
    HostedUnavailable,
    Tokens,
)
from app.routing import add_routes, make_router
from app.settings import Settings

log = logging.getLogger("notegate.session")

SIGN_IN_SECONDS = 600
"""How long signing in may take, forgotten password and mailed code included."""

SESSION_SECONDS = 30 * 24 * 3600
"""How long a session lasts when nobody comes back: Cognito's own default for refresh tokens. Each
renewal counts anew; whether the token is still good is for Cognito to say."""

RETRY_AFTER = 5

MAX_REFRESH_TOKEN = 3800
"""Characters; a cookie of more than 4096 bytes, name included, browsers drop without a word."""

_REFRESH_TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{1,{MAX_REFRESH_TOKEN}}}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_PRIVATE = {"Referrer-Policy": "no-referrer"}

router = make_router(prefix="/auth", include_in_schema=False)


def install(app: FastAPI, settings: Settings) -> None:
    """Give the app the hosted endpoints, if the settings name them."""
    app.state.hosted = (
        HostedEndpoints(settings.cognito_domain, settings.cognito_app_client_id[0])
        if settings.cognito_domain
        else None
    )
    app.state.sign_in_scopes = settings.sign_in_scopes
    app.state.token_use = settings.cognito_token_use
    add_routes(app, router)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a browser has its session: one app client's, at one origin."""

    hosted: HostedEndpoints
    origin: str
    root: str

    @property
    def page(self) -> str:
        """The page's address."""
        return f"{self.origin}{self.root}/"

    @property
    def redirect_uri(self) -> str:
        """Where the hosted endpoints send the browser back to; registered with the app client."""
        return f"{self.origin}{self.root}/auth/callback"

    def cookie(self, kind: str) -> str:
        """Return a cookie's name.

        It names the app client, so that two apps behind one host name keep their sessions apart,
        and on loopback the port, which cookies do not heed.
        """
        name = f"notegate-{kind}-{self.hosted.client_id}"
        if self._encrypted:
            # Set by this very host, over https: no neighbouring subdomain can plant one.
            return f"__Host-{name}"
        return f"{name}-{urlsplit(self.origin).port or 80}"

    def keep(self, response: Response, kind: str, value: str, seconds: int) -> None:
        """Set a cookie, or with 0 seconds take it back."""
        response.set_cookie(
            self.cookie(kind),
            value,
            max_age=seconds,
            path="/",
            # On plain http only where nothing leaves the machine, and there without Secure: not
            # every browser takes loopback for safe enough.
            secure=self._encrypted,
            httponly=True,
            # The way back from the hosted pages begins at another site, so what is needed there
            # must be Lax; the session itself is only ever sent by the page's own requests.
            samesite="lax" if kind == "signin" else "strict",
        )

    @property
    def _encrypted(self) -> bool:
        return self.origin.startswith("https:")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to sign in: all that must come back unchanged, made from one secret of the browser's.

    The secret is in a cookie, so that nobody who lacks the browser can finish the attempt, nor
    bring a browser to finish somebody else's. Several windows share it: what each derives from it
    depends on its own random ticket.
    """

    secret: str
    ticket: str

    @property
    def state(self) -> str:
        """OAuth's ``state``: the ticket, and the proof that it was given to this browser."""
        return f"{self.ticket}.{self._derived('state')}"

    @property
    def nonce(self) -> str:
        """OpenID Connect's: ties the ID token to the attempt."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """PKCE's: ties the code to the attempt."""
        return self._derived("verifier")

    @property
    def in_window(self) -> bool:
        """Whether it runs in a window of its own, beside a page with unsaved text."""
        return self.ticket.startswith("w")

    def _derived(self, purpose: str) -> str:
        digest = hmac.digest(self.secret.encode(), f"{purpose}:{self.ticket}".encode(), "sha256")
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


@router.get("/login")
async def login(request: Request) -> Response:
    """Send the browser to the sign-in page."""
    place = _place(request)
    secret = request.cookies.get(place.cookie("signin"), "")
    if not _SECRET.fullmatch(secret):
        secret = secrets.token_urlsafe(32)
    kind = "w" if request.query_params.get("in") == "window" else "p"
    attempt = Attempt(secret, kind + secrets.token_urlsafe(16))
    url = place.hosted.authorize_url(
        redirect_uri=place.redirect_uri,
        scopes=request.app.state.sign_in_scopes,
        state=attempt.state,
        nonce=attempt.nonce,
        verifier=attempt.verifier,
    )
    response = RedirectResponse(url, 303, _PRIVATE)
    place.keep(response, "signin", secret, SIGN_IN_SECONDS)
    return response


@router.get("/callback")
async def callback(request: Request) -> Response:
    """Take the code that the hosted endpoints send the browser back with.

    Whatever comes of it, the browser goes on to the page: the code must not stay in its history,
    and what went wrong is said there, in the page's own words.
    """
    place = _place(request)
    given = request.query_params
    secret = request.cookies.get(place.cookie("signin"), "")
    attempt = Attempt(secret, given.get("state", "").partition(".")[0])
    if not (_SECRET.fullmatch(secret) and _equal(attempt.state, given.get("state", ""))):
        # An attempt of this browser's that is under way goes on.
        return _to_page(place, "expired")
    response = await _finish(request, place, attempt)
    place.keep(response, "signin", "", 0)
    return response


async def _finish(request: Request, place: Place, attempt: Attempt) -> Response:
    given = request.query_params
    if "code" not in given:
        return _to_page(place, "denied" if given.get("error") == "access_denied" else "failed")
    try:
        tokens = await place.hosted.exchange(
            given["code"], redirect_uri=place.redirect_uri, verifier=attempt.verifier
        )
        # Whoever could put another's tokens here would have that one's notes written for them.
        verifier: TokenVerifier = request.app.state.verifier
        claims = await verifier.for_id_tokens().verify(tokens.id_token)
    except GrantRefused:
        return _to_page(place, "expired")
    except (HostedUnavailable, KeysUnavailable):
        return _to_page(place, "unavailable")
    except ClientRefused:
        return _to_page(place, "failed")
    except TokenRefused as refusal:
        log.error("the ID token of a sign-in is refused: %s", type(refusal).__name__)
        return _to_page(place, "failed")
    if not _is_answer_to(attempt, claims, place.hosted.client_id):
        log.error("the ID token of a sign-in belongs to another one")
        return _to_page(place, "failed")
    refresh_token = tokens.refresh_token or ""
    if not _REFRESH_TOKEN.fullmatch(refresh_token):
        log.error("a refresh token of %s characters fits no cookie", len(refresh_token))
        return _to_page(place, "failed")
    response = _to_page(place, "done" if attempt.in_window else "")
    place.keep(response, "session", refresh_token, SESSION_SECONDS)
    return response


@router.post("/token")
async def token(request: Request) -> Response:
    """Give the page a fresh token for its session."""
    place = _place(request)
    _refuse_other_sites(request, place)
    refresh_token = request.cookies.get(place.cookie("session"), "")
    try:
        if not _REFRESH_TOKEN.fullmatch(refresh_token):
            raise GrantRefused
        tokens = await place.hosted.refresh(refresh_token)
    except GrantRefused:
        return _signed_out(request, place)
    except (ClientRefused, HostedUnavailable):
        # A setting can be mended too; nobody has to sign in anew for that.
        raise unavailable(RETRY_AFTER) from None
    response = JSONResponse(_for_page(tokens, request.app.state.token_use), headers=_PRIVATE)
    # Cognito may have given another one in its place ("refresh token rotation").
    place.keep(response, "session", tokens.refresh_token or refresh_token, SESSION_SECONDS)
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session, at Cognito too; say where to go to end it at the hosted pages as well."""
    place = _place(request)
    _refuse_other_sites(request, place)
    refresh_token = request.cookies.get(place.cookie("session"), "")
    if _REFRESH_TOKEN.fullmatch(refresh_token):
        try:
            await place.hosted.revoke(refresh_token)
        except (ClientRefused, GrantRefused):
            pass  # nothing that this could end, now or later
        except HostedUnavailable:
            # To forget a token that still works is not to sign out.
            raise unavailable(RETRY_AFTER) from None
    url = place.hosted.logout_url(logout_uri=place.page)
    response = JSONResponse({"logout_url": url}, headers=_PRIVATE)
    place.keep(response, "session", "", 0)
    return response


def _place(request: Request) -> Place:
    """Return where this request's session is.

    Raises:
        ApiError: there can be none.
    """
    hosted: HostedEndpoints | None = request.app.state.hosted
    if hosted is None:
        raise ApiError(404, "Signing in by browser is off: COGNITO_DOMAIN is not set")
    origin = address.origin(request)
    if origin is None or not address.is_private(origin):
        raise ApiError(403, "Signing in needs https, or a server on this machine")
    return Place(hosted, origin, address.root(request))


def _refuse_other_sites(request: Request, place: Place) -> None:
    """Raise a 403 unless the page itself sent this.

    Every browser of today sends Origin with a POST, and most of them Sec-Fetch-Site; a script can
    set neither. Without both, nobody knows who sent it.
    """
    told = request.headers.getlist("sec-fetch-site"), request.headers.getlist("origin")
    if not any(told) or any(
        value != expected
        for values, expected in zip(told, ("same-origin", place.origin), strict=True)
        for value in values
    ):
        raise ApiError(403, "Only the page itself may ask for this")


def _to_page(place: Place, outcome: str) -> Response:
    # Behind the #: no server and no log sees it, and the page takes it out of the address.
    url = f"{place.page}#signin={outcome}" if outcome else place.page
    return RedirectResponse(url, 303, _PRIVATE)


def _signed_out(request: Request, place: Place) -> Response:
    response = error_response(
        401, "Unauthorized", headers={"WWW-Authenticate": "Bearer", **_PRIVATE}
    )
    if place.cookie("session") in request.cookies:
        place.keep(response, "session", "", 0)
    return response


def _is_answer_to(attempt: Attempt, claims: Claims, client_id: str) -> bool:
    nonce = claims.get("nonce")
    return (
        isinstance(nonce, str) and _equal(nonce, attempt.nonce) and claims.get("aud") == client_id
    )


def _for_page(tokens: Tokens, token_use: str) -> dict[str, str | int]:
    """Return what the API takes, and the ID token in any case: it says who signed in."""
    also = {"access_token": tokens.access_token} if token_use == "access" else {}
    return {"id_token": tokens.id_token, **also, "expires_in": tokens.expires_in}


def _equal(one: str, other: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), other.encode())
