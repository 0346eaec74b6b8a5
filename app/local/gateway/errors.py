"""The answers API Gateway gives on its own: types, statuses, and bodies to the byte.

A ``Refusal`` is what a step returns in place of a result; ``gateway_responses.py`` writes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """One of API Gateway's own answers.

    Attributes:
        type: the gateway response that customises it; empty: nothing does.
        status: the status unless customised.
        error_type: the value of ``x-amzn-ErrorType``; empty: no such header.
        message: the text; None is JSON's null.
        spaced: whether a space follows the colon (validation and integration errors) [R].
        reason: for the log only.
        validation_error: ``$context.error.validationErrorString``.
    """

    type: str
    status: int
    error_type: str
    message: str | None
    spaced: bool = False
    reason: str = ""
    validation_error: str = ""

    @property
    def message_string(self) -> str:
        """The message as JSON: ``$context.error.messageString``."""
        return json.dumps(self.message, ensure_ascii=False)

    @property
    def body(self) -> bytes:
        """The body unless a template is configured, to the byte."""
        return f'{{"message":{" " if self.spaced else ""}{self.message_string}}}'.encode()

    def because(self, reason: str, *, validation_error: str = "") -> Refusal:
        """Return the same answer with what the log should say."""
        return Refusal(
            self.type,
            self.status,
            self.error_type,
            self.message,
            self.spaced,
            reason,
            validation_error,
        )


_NO_TOKEN = "Missing Authentication Token"
_INTERNAL = "InternalServerErrorException"
_BAD_REQUEST = "BadRequestException"

MISSING_AUTHENTICATION_TOKEN = Refusal(
    "MISSING_AUTHENTICATION_TOKEN", 403, "MissingAuthenticationTokenException", _NO_TOKEN
)
# Decided before there is an API whose gateway responses could apply.
FORBIDDEN = Refusal("", 403, "ForbiddenException", "Forbidden")
UNAUTHORIZED = Refusal("UNAUTHORIZED", 401, "UnauthorizedException", "Unauthorized")
TOKEN_EXPIRED = Refusal(
    "UNAUTHORIZED", 401, "UnauthorizedException", "The incoming token has expired"
)
# The facts record the null message for AUTHORIZER_CONFIGURATION_ERROR; by analogy [I].
AUTHORIZER_FAILURE = Refusal("AUTHORIZER_FAILURE", 500, "AuthorizerFailureException", None)
THROTTLED = Refusal("THROTTLED", 429, "TooManyRequestsException", "Too Many Requests")
BAD_REQUEST_BODY = Refusal("BAD_REQUEST_BODY", 400, _BAD_REQUEST, "Invalid request body", True)
REQUEST_TOO_LARGE = Refusal("REQUEST_TOO_LARGE", 413, _BAD_REQUEST, "Request Too Long", True)
UNSUPPORTED_MEDIA_TYPE = Refusal(
    "UNSUPPORTED_MEDIA_TYPE", 415, _BAD_REQUEST, "Unsupported Media Type", True
)
URI_TOO_LONG = Refusal("", 414, "", "Request URI too long")
INTEGRATION_TIMEOUT = Refusal(
    "INTEGRATION_TIMEOUT", 504, _INTERNAL, "Endpoint request timed out", True
)
INTEGRATION_FAILURE = Refusal(  # 500 at run time, whatever the listed default says [R]
    "INTEGRATION_FAILURE", 500, _INTERNAL, "Internal server error", True
)
API_CONFIGURATION_ERROR = Refusal(
    "API_CONFIGURATION_ERROR", 500, _INTERNAL, "Internal server error", True
)
BAD_GATEWAY = Refusal("DEFAULT_5XX", 502, _INTERNAL, "Internal server error", True)
INTERNAL_ERROR = Refusal("DEFAULT_5XX", 500, _INTERNAL, "Internal server error", True)
# Not AWS's: what --ignore-unsupported makes of a method that the mirror cannot play.
NOT_IMPLEMENTED = Refusal("", 501, "", "Not mirrored by this gateway")


def missing_parameters(names: list[str]) -> Refusal:
    """Return the refusal that lists the bare names of what is missing."""
    message = f"Missing required request parameters: [{', '.join(names)}]"
    return Refusal("BAD_REQUEST_PARAMETERS", 400, _BAD_REQUEST, message, True)


RESPONSE_TYPES = {
    "ACCESS_DENIED": 403,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "DEFAULT_4XX": None,
    "DEFAULT_5XX": None,
    "EXPIRED_TOKEN": 403,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "RESOURCE_NOT_FOUND": 404,
    "THROTTLED": 429,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WAF_FILTERED": 403,
}
"""Every gateway response type and the status that API Gateway lists for it [R]."""
