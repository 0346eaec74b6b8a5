"""Where this runs, and clients of AWS's services. Imports nothing that it may not need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def running_in_lambda(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is a Lambda function (its runtime sets these variables).

    Source: "Defined runtime environment variables" in the AWS Lambda developer guide.
    """
    return "AWS_LAMBDA_FUNCTION_NAME" in environ or "AWS_LAMBDA_RUNTIME_API" in environ


def make_client(
    service: str,
    *,
    region: str | None,
    endpoint_url: str | None,
    connect_timeout: float,
    read_timeout: float,
    attempts: int,
    connections: int,
    **credentials: Any,
) -> Any:
    """Return botocore's client, which any number of threads may share. Nothing is sent yet.

    Args:
        service: its name in botocore.
        region: None is the environment's.
        endpoint_url: None is AWS's own.
        connect_timeout: seconds.
        read_timeout: seconds.
        attempts: how often a call is tried in all.
        connections: how many are kept open.
        credentials: ``aws_access_key_id`` and its like; without them botocore looks for some.
    """
    # Not by way of boto3: its own part is 0.2 s of a cold start, and none is needed.
    from botocore.config import Config
    from botocore.session import get_session

    session = get_session()
    # To see that there is such a service botocore would look through the folders of all 400.
    session.get_component("data_loader").list_available_services = lambda *_: [service]
    return session.create_client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        **credentials,
        config=Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=connections,
        ),
    )
