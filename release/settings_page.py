"""The settings in docs/configuration.md: every option, its variable and an example. Pure.

``python -m release.settings_page`` prints the tables that the page has between its headings.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from gapless.settings import setting_names, visible_options

EXAMPLES: Final[Mapping[str, Any]] = {
    "after": 3,
    "allow_host": ["logs.example.com"],
    "allowance": "10s",
    "around": 3,
    "before": 3,
    "calls_per_second": 2.5,
    "connect_after": "30s",
    "control": "http://127.0.0.1:4999",
    "endpoint_url": "http://127.0.0.1:5000",
    "exclude": ["healthcheck", "/GET \\/ping/"],
    "execution": ["4f2a91c0"],
    "fields": "level,user.id,msg",
    "filter_pattern": '{ $.level = "error" }',
    "format": "short",
    "grep": ["status>=500", "!user.id=12"],
    "group_age": "30d",
    "groups_file": "/etc/gapless/groups.txt",
    "in_memory": 200_000,
    "journal": "/var/lib/gapless/journals",
    "level": "warn",
    "lifecycle": "ecs:my-cluster",
    "lines": 100,
    "live": "auto",
    "max_per_address": 1000,
    "older_than": "24h",
    "port": 8765,
    "prefix": ["web/"],
    "profile": ["dev"],
    "record": "record.ndjson",
    "region": ["eu-west-1", "us-east-1"],
    "resume": "archive",
    "role": "serve",
    "scenario": "reconnect",
    "seed": 7,
    "since": "1h",
    "speed": "10",
    "stream": ["web/main/7c1e"],
    "timezone": "Europe/Zurich",
    "tls_cert": "/etc/gapless/cert.pem",
    "tls_key": "/etc/gapless/key.pem",
    "token_file": "/etc/gapless/tokens",
    "until": "2026-11-23T12:00Z",
    "views": "/var/cache/gapless",
}
"""A value for each option without a default, by the name of its setting."""

_SINGLE: Final = {("streams", "prefix"): "web/"}
"""Examples of options that may be given once, where others of their name may be repeated."""


def markdown(root: click.Group) -> str:
    """Return the tables, one for each command that has settings."""
    return "\n".join(_tables(root))


def settings_of(root: click.Group) -> Iterator[tuple[str, str, click.Option, Any]]:
    """Yield each command's settings: command, name, option, and an example of its value."""
    context = click.Context(root)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if command is None or isinstance(command, click.Group):
            continue
        for option in visible_options(command):
            if option.name != "help":
                setting = setting_names(option)[0]
                yield name, setting, option, _example(name, setting, option)


def toml_value(value: Any) -> str:  # noqa: ANN401 - any type that TOML has
    """Return a value as TOML writes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        quote = "'" if '"' in value or "\\" in value else '"'
        return f"{quote}{value}{quote}"
    return str(value)


def _tables(root: click.Group) -> Iterator[str]:
    shown = ""
    for command, setting, option, example in settings_of(root):
        if command != shown:
            shown = command
            yield from (f"\n### {command}\n", "| setting | variable | option |", "|---|---|---|")
        text = f"{setting} = {toml_value(example)}".replace("|", "\\|")
        options = " ".join(f"`{one}`" for one in (*option.opts, *option.secondary_opts))
        yield f"| `{text}` | `GAPLESS_{setting.upper()}` | {options} |"
    yield ""


def _example(command: str, setting: str, option: click.Option) -> Any:  # noqa: ANN401 - likewise
    if option.is_flag:
        return not option.default if isinstance(option.default, bool) else True
    if (command, setting) in _SINGLE:
        return _SINGLE[command, setting]
    if setting in EXAMPLES:
        value = EXAMPLES[setting]
        return value[0] if isinstance(value, list) and not option.multiple else value
    return option.default


if __name__ == "__main__":
    from gapless.cli import cli

    sys.stdout.write(markdown(cli))
