"""The gateway: API Gateway's steps, in its order, as an ASGI app."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from app.auth.jwks import KeySet
from app.local.gateway import errors
from app.local.gateway.access_log import Write, access_line
from app.local.gateway.authorizer import CognitoAuthorizer, KeySets, KeyUrl
from app.local.gateway.definition import AwsProxy, Mock, Unsupported
from app.local.gateway.environments import EndpointTimedOut, Environments, FunctionError
from app.local.gateway.errors import Refusal
from app.local.gateway.event import EventMaker, encode, too_large
from app.local.gateway.exchange import Exchange
from app.local.gateway.function import Function, Handler
from app.local.gateway.gateway_responses import GatewayResponses
from app.local.gateway.mock import answer_mock
from app.local.gateway.openapi import read_api
from app.local.gateway.request import ClientDisconnected, Request, read_body
from app.local.gateway.response import Malformed, Response, read_result
from app.local.gateway.routing import Routes
from app.local.gateway.stage import Stage
from app.local.gateway.throttle import TokenBucket
from app.local.gateway.validator import validate
from app.local.gateway.wire import FRONT_END_413, make_ids, wire_headers

log = logging.getLogger("notegate.gateway")

MAX_URL = 10_240
"""Characters of path and query at a regional endpoint [D]; what happens beyond is inferred."""

MAX_METHOD_ARN = 1600
"""Bytes of a method's ARN, path included, when the method has an authorizer [D]."""

_API_ID = re.compile(r"[a-z0-9]{10}")


class Gateway:
    """A REST API in front of a Lambda proxy handler.

    Several gateways live side by side; none shares anything but the handler's own module state.
    Give it to a server that keeps the casing of header names and adds neither Date nor Server
    (uvicorn with ``server_header=False, date_header=False``), and call ``close`` in the end; the
    ASGI lifespan's shutdown does so too.

    Args:
        definition: API Gateway's OpenAPI 3.0 export.
        handler: any callable ``(event, context) -> dict``.
        stage: the stage's name.
        stage_variables: the stage's variables.
        throttle: requests a second and burst.
        environments: how many Lambda environments there may be at once.
        account_id: the account, as events and ARNs say it.
        region: the region, likewise.
        api_id: ten lower-case letters and digits; None makes one from the definition.
        function_name: what the context says.
        function_timeout: seconds until Lambda would kill the function.
        key_url: from a pool's id to the URL of its keys; None is the pool's own URL.
        key_sets: keys by pool id, before any URL.
        ignore_unsupported: what cannot be mirrored becomes a warning and a 501 on its method.
        forwarded: X-Forwarded-Proto and -Port; AWS says https and 443, whatever stands in front.
        on_exchange: gets each event and its result as JSON text (a ``Recorder``'s ``record``).
        access_log: gets one line per request.
        access_log_format: with ``$context`` variables; None is JSON.
        clock: seconds since the epoch.
        monotonic: seconds that only go forward, for the throttle.

    Raises:
        DefinitionError: the definition cannot be mirrored; it lists every reason.
        ValueError: another argument is not one that AWS would have.
    """

    def __init__(
        self,
        definition: Mapping[str, Any],
        handler: Handler,
        *,
        stage: str = "Prod",
        stage_variables: Mapping[str, str] | None = None,
        throttle: tuple[float, int] | None = None,
        environments: int = 4,
        account_id: str = "123456789012",
        region: str = "us-east-1",
        api_id: str | None = None,
        function_name: str = "function",
        function_timeout: float = 30.0,
        key_url: KeyUrl | None = None,
        key_sets: Mapping[str, KeySet] | None = None,
        ignore_unsupported: bool = False,
        forwarded: tuple[str, str] = ("https", "443"),
        on_exchange: Callable[[str, str], None] | None = None,
        access_log: Write | None = None,
        access_log_format: str | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.api = api = read_api(definition, ignore_unsupported=ignore_unsupported)
        for warning in api.warnings:
            log.warning("%s", warning)
        self.api_id = api_id or (api.deployment_id + "0000")[:10]
        if not _API_ID.fullmatch(self.api_id):
            raise ValueError("an API id has ten lower-case letters and digits")
        self._routes = Routes(api.methods)
        self._stage = Stage(stage, stage_variables, shadowed=self._routes.has_literal(stage))
        keys = KeySets(key_sets, key_url)
        self._authorizers = {
            method.authorizer.name: CognitoAuthorizer(method.authorizer, keys, clock)
            for method in {m.authorizer.name: m for m in api.methods if m.authorizer}.values()
            if method.authorizer
        }
        self._throttle = TokenBucket(*throttle, monotonic) if throttle else None
        self._events = EventMaker(
            account_id=account_id,
            api_id=self.api_id,
            deployment_id=api.deployment_id,
            stage=stage,
            stage_variables=self._stage.variables,
            binary_media_types=frozenset(api.binary_media_types),
        )
        self._binary = frozenset(api.binary_media_types)
        function = Function(
            function_name,
            memory=128,
            timeout=function_timeout,
            account_id=account_id,
            region=region,
        )
        self._environments = Environments(handler, function, environments)
        self._gateway_responses = GatewayResponses(api.gateway_responses, self._variables)
        self._arn = f"arn:aws:execute-api:{region}:{account_id}:{self.api_id}/{stage}"
        self._domain = f"{self.api_id}.execute-api.{region}.amazonaws.com"
        self._forwarded = forwarded
        self._on_exchange = on_exchange
        self._access_log = access_log
        self._access_log_format = access_log_format
        self._clock = clock
        self._lineage = os.urandom(4).hex()

    def close(self) -> None:
        """End the environments' threads; what still runs gets two seconds."""
        self._environments.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request. No exception leaves this but those of ``send``."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        started = time.monotonic()
        now = self._clock()
        request_id, extended_id, trace_root = make_ids(int(now))
        request = Request(
            scope,
            request_id=request_id,
            extended_id=extended_id,
            trace_root=trace_root,
            now=now,
            forwarded=self._forwarded,
            domain=self._domain,
        )
        exchange = Exchange(request)
        refusal: Refusal | None = None
        try:
            answer = await self._steps(exchange, receive, started)
        except ClientDisconnected:
            return
        except Exception:
            log.exception("%s: a fault of the mirror's own", request.request_id)
            answer = errors.INTERNAL_ERROR.because("a fault of the mirror's own")
        if isinstance(answer, Refusal):
            refusal = answer
            answer = self._gateway_responses.write(refusal, exchange)
            if refusal.reason:
                log.info("%s: %s: %s", request.request_id, refusal.message, refusal.reason)
        head = scope["method"] == "HEAD"
        length = 0 if head and refusal else len(answer.body)
        headers = wire_headers(answer, request, length, self._lineage)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        bodiless = head or answer.status in {204, 304}
        await send({"type": "http.response.body", "body": b"" if bodiless else answer.body})
        if self._access_log is not None:
            context = self._context(exchange, refusal)
            context["status"] = answer.status
            context["responseLength"] = length
            context["responseLatency"] = round((time.monotonic() - started) * 1000)
            self._access_log(access_line(context, self._access_log_format))

    async def _steps(self, exchange: Exchange, receive: Any, arrived: float) -> Response | Refusal:
        request = exchange.request

        # Size, before any API logic.
        body = await read_body(receive, request)
        if body is None:
            return FRONT_END_413
        if len(request.raw_path) + len(request.query) > MAX_URL:
            return errors.URI_TOO_LONG

        # Stage.
        located = self._stage.locate(request.raw_path, request.sent_domain)
        if located is None:
            return errors.FORBIDDEN.because("the URL names no stage of this API")
        exchange.path, exchange.stage_path = located

        # Resource and method.
        match = self._routes.match(request.method, exchange.path)
        if match is None:
            return errors.MISSING_AUTHENTICATION_TOKEN.because(
                f"no method {request.method} {exchange.path}"
            )
        method, exchange.path_parameters = match
        exchange.method = method
        integration = method.integration
        if isinstance(integration, Unsupported):
            return errors.NOT_IMPLEMENTED.because("; ".join(integration.reasons))

        # Authorizer.
        if method.authorizer is not None:
            arn = f"{self._arn}/{request.method}{exchange.path}"
            if len(arn) > MAX_METHOD_ARN:
                return errors.URI_TOO_LONG
            authorizer = self._authorizers[method.authorizer.name]
            claims = await authorizer.authorize(request.last, method.scopes)
            if isinstance(claims, Refusal):
                exchange.authorizer = claims.reason
                return claims
            exchange.claims, exchange.authorizer = claims, "allowed"

        # Throttle.
        if self._throttle is not None and not self._throttle.take():
            return errors.THROTTLED

        # Validator.
        if method.required or method.models:
            refusal = validate(method, exchange, body)
            if refusal is not None:
                return refusal

        # Integration and its response.
        if isinstance(integration, Mock):
            return answer_mock(integration, exchange, body, self._binary)
        return await self._proxy(integration, exchange, body, arrived)

    async def _proxy(
        self, integration: AwsProxy, exchange: Exchange, body: bytes, arrived: float
    ) -> Response | Refusal:
        if integration.fails:
            return errors.INTEGRATION_FAILURE.because(integration.fails)
        event = encode(self._events.event(exchange, body))
        if too_large(event):
            return errors.REQUEST_TOO_LARGE.because("the event exceeds Lambda's 6 MB")
        began = time.monotonic()
        outcome: Any = None
        try:
            text, outcome = await self._environments.invoke(event, arrived + integration.timeout)
            response = read_result(
                outcome,
                accept=exchange.request.last.get("accept", ""),
                binary_media_types=self._binary,
            )
        except EndpointTimedOut:
            text = encode({"errorType": "EndpointTimedOut"})
            return errors.INTEGRATION_TIMEOUT.because(f"no result within {integration.timeout} s")
        except FunctionError as error:
            text = encode(error.payload)
            return errors.BAD_GATEWAY.because(f"the function failed: {error}")
        except Malformed as malformed:
            if malformed.undecodable:
                return errors.API_CONFIGURATION_ERROR.because(str(malformed))
            return errors.BAD_GATEWAY.because(
                "Execution failed due to configuration error: "
                f"Malformed Lambda proxy response: {malformed}"
            )
        finally:
            exchange.integration_latency = time.monotonic() - began
            if self._on_exchange is not None:
                self._on_exchange(event, text)
        exchange.integration_status = response.status
        return response

    def _context(self, exchange: Exchange, refusal: Refusal | None) -> dict[str, Any]:
        context = self._events.request_context(exchange)
        context["authorizer"] = {
            **context.get("authorizer", {}),
            "outcome": exchange.authorizer,
        }
        latency = exchange.integration_latency
        context["integration"] = {
            "status": exchange.integration_status,
            "latency": None if latency is None else round(latency * 1000),
        }
        if refusal is not None:
            context["error"] = {
                "message": refusal.message,
                "messageString": refusal.message_string,
                "responseType": refusal.type or None,
                "validationErrorString": refusal.validation_error or None,
                "reason": refusal.reason or None,
            }
        return context

    def _variables(self, exchange: Exchange, refusal: Refusal) -> dict[str, Any]:
        context = self._context(exchange, refusal)
        # What the mirror knows beyond API Gateway is for its log, never for a client.
        del context["error"]["reason"]
        del context["authorizer"]["outcome"]
        return {"context": context, "stageVariables": self._stage.variables or {}}

    async def _other(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        if scope["type"] != "lifespan":
            return
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        self.close()
        await send({"type": "lifespan.shutdown.complete"})
