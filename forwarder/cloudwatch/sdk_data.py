"""Loads the SDK's descriptions of services with less memory: without their documentation."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
from botocore.loaders import JSONFileLoader


class LeanFiles(JSONFileLoader):
    """Replaces the ``file_loader`` of a session's ``data_loader``.

    A client retains what it was made from. The descriptions of CloudWatch Logs and of all Regions
    take 9 MB as the SDK loads them, two thirds of it for texts and for the order of keys, which
    dictionaries keep anyway.
    """

    def load_file(self, file_path: str) -> Any:  # noqa: ANN401 - JSON
        """Load the file of this path without its end; None if there is none."""
        for end, unpack in ((".json", bytes), (".json.gz", gzip.decompress)):
            path = Path(file_path + end)
            if path.is_file():
                return without_documentation(msgspec.json.decode(unpack(path.read_bytes())))
        return None


def without_documentation(data: Any) -> Any:  # noqa: ANN401 - JSON
    """Remove the texts named ``documentation`` from JSON, in place; returns it."""
    pending = [data]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            if isinstance(one.get("documentation"), str):  # a shape may have a member of that name
                del one["documentation"]
            pending.extend(one.values())
        elif isinstance(one, list):
            pending.extend(one)
    return data
