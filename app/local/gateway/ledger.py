"""The fidelity ledger: each behaviour, whether it is mirrored, how certain, what shows it.

Certainty: [R] recorded on the wire, [M] measured, [C] corroborated, [D] documented, [I] inferred.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

MIRRORED: Literal["mirrored"] = "mirrored"
REFUSED: Literal["refused loudly"] = "refused loudly"
NOT_MIRRORED: Literal["not mirrored"] = "not mirrored"


class Entry(NamedTuple):
    """One behaviour; ``shown_by`` is ``test_file::test_name`` below tests/local/gateway."""

    behaviour: str
    state: Literal["mirrored", "refused loudly", "not mirrored"]
    certainty: str
    shown_by: str = ""


_DEFINITION = "test_definition::test_what_is_not_mirrored_is_refused_loudly"
_ERROR = "test_errors::test_every_error_has_its_exact_answer"

LEDGER = (
    Entry("Error bodies to the byte, in two serializers", MIRRORED, "R", _ERROR),
    Entry("Error headers: names, casing, order; none of CORS or trace", MIRRORED, "R", _ERROR),
    Entry(
        "HEAD on an error: same headers, length 0",
        MIRRORED,
        "R",
        "test_errors::test_a_head_request_gets_the_same_headers_and_no_body",
    ),
    Entry(
        "413 in plain text over 10 MB, before any API logic",
        MIRRORED,
        "R",
        "test_errors::test_an_announced_body_over_10_mb_is_refused_unread",
    ),
    Entry("413 in JSON for an event over 6 MB", MIRRORED, "R", _ERROR),
    Entry("502 for a result over 6 MB", MIRRORED, "I", _ERROR),
    Entry(
        "414 for a method ARN over 1600 bytes with authorization",
        MIRRORED,
        "D",
        "test_errors::test_a_method_arn_over_1600_bytes_is_414_with_authorization_only",
    ),
    Entry(
        "414 for a URL over 10,240 characters",
        MIRRORED,
        "I",
        "test_errors::test_a_url_beyond_the_quota_is_414",
    ),
    Entry("Order of the steps", MIRRORED, "R/D", "test_routing::test_the_steps_come_in_aws_order"),
    Entry(
        "Gateway responses: parameters, templates, DEFAULT_4XX and 5XX",
        MIRRORED,
        "R/D",
        "test_gateway_responses::test_a_default_is_for_every_type_of_its_class",
    ),
    Entry(
        "Gateway responses: which template an Accept header chooses",
        MIRRORED,
        "I",
        "test_gateway_responses::test_the_template_is_chosen_by_accept",
    ),
    Entry(
        "Routing by the pair of path and method, with fall-through",
        MIRRORED,
        "R",
        "test_routing::test_the_pair_of_path_and_method_finds_the_resource",
    ),
    Entry(
        "A literal path is compared as sent (escapes are not decoded)",
        MIRRORED,
        "I",
        "test_routing::test_the_pair_of_path_and_method_finds_the_resource",
    ),
    Entry(
        "Slashes around stage and path",
        MIRRORED,
        "R",
        "test_routing::test_slashes_are_as_recorded",
    ),
    Entry(
        "Invoke URL with its stage, custom domain without",
        MIRRORED,
        "R/D",
        "test_routing::test_the_host_decides_where_the_api_begins",
    ),
    Entry(
        "Event: keys, order, nulls, formats",
        MIRRORED,
        "R",
        "test_event::test_the_keys_and_their_order_are_those_of_the_recordings",
    ),
    Entry(
        "Event headers: casing, repeats, what never arrives",
        MIRRORED,
        "R",
        "test_event::test_a_header_that_never_reaches_the_lambda",
    ),
    Entry(
        "Casing of header names as an HTTP/1.1 client sent it (uvicorn lower-cases, as HTTP/2)",
        NOT_MIRRORED,
        "R",
    ),
    Entry(
        "X-HTTP-Method-Override",
        MIRRORED,
        "D",
        "test_event::test_the_method_override_is_obeyed_and_hidden",
    ),
    Entry(
        "Trace ids, Lineage included (no segment is ever recorded)",
        MIRRORED,
        "R",
        "test_event::test_trace_ids",
    ),
    Entry(
        "Path and parameters raw, query decoded",
        MIRRORED,
        "R",
        "test_event::test_path_and_parameters_stay_as_sent",
    ),
    Entry("Binary request bodies", MIRRORED, "R", "test_event::test_bodies"),
    Entry("Non-ASCII header bytes read as UTF-8, else Latin-1", MIRRORED, "I",
          "test_event::test_header_values"),
    Entry(
        "Cognito authorizer: token kinds, scopes, expiry",
        MIRRORED,
        "R/D",
        "test_authorizer::test_scopes",
    ),
    Entry(
        "Claims as strings, with Java's dates",
        MIRRORED,
        "R",
        "test_authorizer::test_every_claim_is_a_string",
    ),
    Entry(
        "Authorizer cache with its TTL, never beyond exp or a change of keys",
        MIRRORED,
        "D/I",
        "test_authorizer::test_a_result_is_kept_for_its_ttl",
    ),
    Entry(
        "500 when the pool's keys cannot be had",
        MIRRORED,
        "I",
        "test_authorizer::test_without_keys_nobody_gets_through",
    ),
    Entry(
        "Required parameters",
        MIRRORED,
        "R/D",
        "test_validator::test_required_parameters",
    ),
    Entry(
        "Models, JSON Schema draft 4",
        MIRRORED,
        "R/D",
        "test_validator::test_a_body_is_held_against_its_model",
    ),
    Entry(
        "validationErrorString: wording for missing and unknown properties; the rest differs",
        MIRRORED,
        "R",
        "test_validator::test_the_validation_error_string_is_worded_as_recorded",
    ),
    Entry(
        "Lambda results: what is well-formed",
        MIRRORED,
        "R",
        "test_response::test_well_formed",
    ),
    Entry("A number as header value or body is its text", MIRRORED, "I",
          "test_response::test_header_values"),
    Entry(
        "A line break in a Lambda's header is a 502",
        MIRRORED,
        "I",
        "test_response::test_malformed",
    ),
    Entry(
        "Response headers: merge, x-amzn-Remapped-",
        MIRRORED,
        "R/C",
        "test_response::test_headers_are_merged_and_remapped",
    ),
    Entry(
        "Binary responses by the first accepted type",
        MIRRORED,
        "R",
        "test_response::test_base64_is_decoded_by_the_first_accepted_type",
    ),
    Entry(
        "Integration time-out",
        MIRRORED,
        "R",
        "test_environments::test_at_the_limit_504_while_the_environment_stays_busy",
    ),
    Entry(
        "Environments: one event at a time, killed at the function's time-out",
        MIRRORED,
        "D",
        "test_environments::test_a_stuck_environment_is_replaced_at_the_functions_timeout",
    ),
    Entry(
        "An environment's own module state (threads share one process)", NOT_MIRRORED, "D"
    ),
    Entry("Lambda throttled beyond its concurrency (events wait instead)", NOT_MIRRORED, "D"),
    Entry(
        "MOCK with static headers, as the console's CORS makes it",
        MIRRORED,
        "R",
        "test_mock::test_the_consoles_preflight_on_the_wire",
    ),
    Entry(
        "Stage throttle",
        MIRRORED,
        "R",
        "test_environments::test_a_throttled_request_gets_its_exact_429",
    ),
    Entry("Throttle per method; account throttle", NOT_MIRRORED, "D"),
    Entry(
        "TestInvokeAuthorizer (of AWS's, ID tokens only; here access tokens too)",
        MIRRORED,
        "D",
        "test_tools::test_the_log_names_the_reason",
    ),
    Entry(
        "Security at the root level is ignored, with a warning",
        MIRRORED,
        "D",
        "test_definition::test_security_at_the_root_is_ignored_as_aws_ignores_it",
    ),
    Entry("Integrations HTTP, HTTP_PROXY, AWS; VPC links; streaming", REFUSED, "-", _DEFINITION),
    Entry("Mapping templates (VTL)", REFUSED, "-", _DEFINITION),
    Entry("Lambda, IAM and JWT authorizers", REFUSED, "-", _DEFINITION),
    Entry("API keys and usage plans", REFUSED, "-", _DEFINITION),
    Entry("Resource policies, private APIs", REFUSED, "-", _DEFINITION),
    Entry("Payload compression", REFUSED, "-", _DEFINITION),
    Entry("HTTP APIs (payload 2.0), Swagger 2.0", REFUSED, "-", _DEFINITION),
    Entry("Any other x-amazon-apigateway- extension", REFUSED, "-", _DEFINITION),
    Entry("Edge endpoints' CloudFront headers", NOT_MIRRORED, "R"),
    Entry("The 10,240 bytes for all header values", NOT_MIRRORED, "D"),
    Entry("WAF, mutual TLS, caching, X-Ray, canaries, TestInvokeMethod", NOT_MIRRORED, "D"),
    Entry("10 MB for a response (a Lambda's cannot reach it)", NOT_MIRRORED, "I"),
)  # fmt: skip
"""Every behaviour that the project's facts name."""


def ledger_table() -> str:
    """Return the ledger as a Markdown table."""
    lines = ["| behaviour | state | certainty | shown by |", "|---|---|---|---|"]
    for entry in LEDGER:
        shown = f"`{entry.shown_by}`" if entry.shown_by else ""
        lines.append(f"| {entry.behaviour} | {entry.state} | [{entry.certainty}] | {shown} |")
    return "\n".join(lines) + "\n"
