"""A mirror of API Gateway: a REST API's definition and a Lambda proxy handler make an ASGI app.

It knows nothing of notes. Read ``gateway.py`` first: the steps in AWS's order. ``ledger.py`` says
of each behaviour whether it is mirrored, refused loudly or not mirrored, and how certain it is.
"""

from app.local.gateway.authorizer import KeyUrl
from app.local.gateway.definition import DefinitionError, Problem
from app.local.gateway.function import HandlerError, load_handler
from app.local.gateway.gateway import Gateway
from app.local.gateway.ledger import LEDGER, ledger_table
from app.local.gateway.openapi import load_definition
from app.local.gateway.recorder import Recorder
from app.local.gateway.test_invoke import NoAuthorizer, test_authorizer

__all__ = [
    "LEDGER",
    "DefinitionError",
    "Gateway",
    "HandlerError",
    "KeyUrl",
    "NoAuthorizer",
    "Problem",
    "Recorder",
    "ledger_table",
    "load_definition",
    "load_handler",
    "test_authorizer",
]
