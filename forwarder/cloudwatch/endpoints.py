"""Where another service of AWS is, given where CloudWatch Logs is. Pure."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit


def sibling_endpoint(service: str, endpoint_url: str | None, env: Collection[str]) -> str | None:
    """Where ``service`` is, if CloudWatch Logs is at ``endpoint_url``; None: the SDK finds it.

    An endpoint that stands in for AWS has the other services as well, one of AWS itself is of a
    single one. What ``AWS_ENDPOINT_URL_SERVICE`` says goes before it.
    """
    if endpoint_url is None or f"AWS_ENDPOINT_URL_{service.upper()}" in env:
        return None
    host = urlsplit(endpoint_url).hostname or ""
    is_aws = host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))
    return None if is_aws else endpoint_url
