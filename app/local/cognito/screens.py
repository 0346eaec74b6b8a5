"""Signing in by forms: one screen per step, each of them for one authorization request."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from app.local.cognito import accounts
from app.local.cognito.answers import Refused
from app.local.cognito.asked import Asked
from app.local.cognito.authorize import Authorization
from app.local.cognito.pages import Pages, redirect
from app.local.cognito.sessions import Sessions

SCREENS = {
    **{name: name for name in ("login", "signup", "confirm", "newPassword")},
    **{name: name for name in ("forgotPassword", "confirmForgotPassword")},
    "resendcode": "confirm",
}
"""The addresses, each with the template that it shows."""

_EXPIRED = "This page was open for too long. Nothing was changed; please try again."
_WRONG = "Incorrect username or password."
_ADVICE = {
    "UsernameExistsException": "This username is taken. Choose another one, or sign in.",
    "InvalidPasswordException": "This password is not allowed. Follow the rule below the field.",
    "LimitExceededException": "Too many wrong codes. Ask for a new one.",
    "Password attempts exceeded": "Too many wrong passwords. Wait a little, then try again.",
    "User is disabled.": "This account is disabled. Ask an administrator.",
    "User is already confirmed.": "This account is confirmed already. Sign in.",
    "User cannot be confirmed. Current status is CONFIRMED": (
        "This account is confirmed already. Sign in."
    ),
    "User password cannot be reset in the current state.": (
        "Sign in with the temporary password that you were sent."
    ),
    "Invalid session for the user.": "Your temporary password is no longer good. Sign in again.",
}
_UNFIT = "Some of this can't be used. A username has no spaces, and a code has six digits."
_NOTICES = {
    "new": "Almost done: type the code that was sent to you.",
    "confirmed": "Your account is confirmed. Sign in.",
    "sent": "If there is such an account, a code was sent to its email address.",
    "changed": "Your password was changed. Sign in with it.",
    "reset": "Your password has to be changed. Type the code that was sent to you.",
    "again": "That took too long. Sign in again.",
}


class Screens:
    """The screens."""

    def __init__(self, pages: Pages, sessions: Sessions) -> None:
        self._pages = pages
        self._sessions = sessions
        self._pool = sessions.pool
        self._steps: dict[str, Callable[[Asked, Authorization], Response]] = {
            "login": self._login,
            "signup": self._signup,
            "confirm": self._confirm,
            "resendcode": self._resend,
            "forgotPassword": self._forgot,
            "confirmForgotPassword": self._reset,
            "newPassword": self._new_password,
        }

    def answer(self, asked: Asked, request: Authorization) -> Response:
        """Show a screen, or take its form and go on to the next step."""
        name = asked.path.removeprefix("/")
        status, problem = 200, ""
        if asked.method == "POST":
            if not self._pages.sent_by_us(asked):
                status, problem = 403, _EXPIRED
            else:
                try:
                    return self._steps[name](asked, request)
                except Refused as refusal:
                    status, problem = 400, _advice(refusal)
        username = asked.form.once("username") or asked.query.once("login_hint")
        if name == "newPassword":
            who = self._sessions.waiting(asked, request)
            if who is None:
                return _go("login", request, notice="again")
            username = who.username
        return self._pages.show(
            asked,
            SCREENS[name],
            status=status,
            problem=problem,
            notice=_NOTICES.get(asked.query.once("notice"), ""),
            request=request,
            username=username,
            typed=asked.form,
        )

    def _login(self, asked: Asked, request: Authorization) -> Response:
        username = asked.form.once("username")
        password = asked.form.once("password")
        client_id = request.client.id
        try:
            user = self._pool.check_password(username, password, client_id=client_id)
        except Refused as refusal:
            if refusal.type == "UserNotConfirmedException":
                return _go("confirm", request, login_hint=username, notice="new")
            if refusal.type == "PasswordResetRequiredException":
                return _go("confirmForgotPassword", request, login_hint=username, notice="reset")
            if refusal.type == "NewPasswordRequired":
                who = self._pool.run(lambda b: accounts.remember(b, client_id, username))
                return self._sessions.wait(_go("newPassword", request), asked, request, who)
            if refusal.type == "UserNotFoundException":
                raise Refused(refusal.type, _WRONG) from None
            raise
        return self._signed_in(asked, request, user.username)

    def _signed_in(self, asked: Asked, request: Authorization, username: str) -> Response:
        who = self._pool.run(lambda b: accounts.remember(b, request.client.id, username))
        return self._sessions.open(self._sessions.grant(request, who), asked, who)

    def _signup(self, asked: Asked, request: Authorization) -> Response:
        username = asked.form.once("username")
        wanted = {name: f"attribute.{name}" for name in request.client.required}
        if not request.client.by_address:
            wanted["email"] = "email"
        given = {name: asked.form.once(field) for name, field in wanted.items()}
        if not all(given.values()):
            raise Refused("InvalidParameterException", "Fill in all of the fields.")
        attributes = [{"Name": name, "Value": value} for name, value in given.items()]
        self._call(
            "SignUp",
            request,
            Username=username,
            Password=asked.form.once("password"),
            UserAttributes=attributes,
        )
        return _go("confirm", request, login_hint=username, notice="new")

    def _confirm(self, asked: Asked, request: Authorization) -> Response:
        username = asked.form.once("username")
        self._call("ConfirmSignUp", request, Username=username, ConfirmationCode=_code(asked))
        return _go("login", request, login_hint=username, notice="confirmed")

    def _resend(self, asked: Asked, request: Authorization) -> Response:
        username = asked.form.once("username")
        self._call("ResendConfirmationCode", request, Username=username)
        return _go("confirm", request, login_hint=username, notice="sent")

    def _forgot(self, asked: Asked, request: Authorization) -> Response:
        username = asked.form.once("username")
        self._call("ForgotPassword", request, Username=username)
        return _go("confirmForgotPassword", request, login_hint=username, notice="sent")

    def _reset(self, asked: Asked, request: Authorization) -> Response:
        username = asked.form.once("username")
        self._call(
            "ConfirmForgotPassword",
            request,
            Username=username,
            ConfirmationCode=_code(asked),
            Password=asked.form.once("password"),
        )
        return _go("login", request, login_hint=username, notice="changed")

    def _new_password(self, asked: Asked, request: Authorization) -> Response:
        who = self._sessions.waiting(asked, request)
        if who is None:
            return _go("login", request, notice="again")
        password = asked.form.once("password")
        self._pool.run(lambda backend: accounts.replace_temporary(backend, who, password))
        return self._sessions.waited(self._signed_in(asked, request, who.username), asked)

    def _call(self, operation: str, request: Authorization, **params: object) -> None:
        self._pool.call(operation, {"ClientId": request.client.id, **params})


def _code(asked: Asked) -> str:
    return "".join(asked.form.once("code").split())


def _go(screen: str, request: Authorization, **more: str) -> Response:
    return redirect(f"{screen}?{request.query_with(**more)}", 303)


def _advice(refusal: Refused) -> str:
    if "validation error" in refusal.message:
        return _UNFIT
    return _ADVICE.get(refusal.type) or _ADVICE.get(refusal.message) or refusal.message
