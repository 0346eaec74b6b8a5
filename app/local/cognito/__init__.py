"""A user pool on this machine.

Reading order: pool, server, signin, userpool, srp; hosted, authorize, screens, token_endpoint.
"""

from app.local.cognito.answers import Refused, Tokens, User
from app.local.cognito.clients import allow_sign_in
from app.local.cognito.files import DataError
from app.local.cognito.mail import Mail
from app.local.cognito.pool import LocalPool
from app.local.cognito.server import PREFIX, mount

__all__ = [
    "PREFIX",
    "DataError",
    "LocalPool",
    "Mail",
    "Refused",
    "Tokens",
    "User",
    "allow_sign_in",
    "mount",
]
