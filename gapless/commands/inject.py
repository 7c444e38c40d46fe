"""``gapless inject``: switch faults of a running simulator on, or heal them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from common.errors import CannotConnectError, UsageError
from gapless.options import TEXT
from gapless.rehearsal.runs import newest_ready

_SCHEDULE: Final = ("after_ms", "for_ms", "every_ms")

_COMMON: Final = (
    ("toxicity", "share of connections or calls that it affects, 0 to 1"),
    ("name", "name of this fault; default: its type"),
    ("after_ms", "delay until it is switched on"),
    ("for_ms", "duration; 0 = until healed"),
    ("every_ms", "repeated after; 0 = once"),
)
"""Keys that every fault accepts, with their meanings."""


def complete_fault(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Complete the type of a fault."""
    del context, parameter
    return [
        CompletionItem(str(one["type"]), help=str(one["meaning"]))
        for one in _catalogue()
        if str(one["type"]).startswith(begun)
    ]


def complete_attribute(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Complete a key of the fault, with ``=``."""
    del parameter
    fault = context.params.get("fault")
    own = [
        (str(attribute["name"]), str(attribute["meaning"]))
        for one in _catalogue()
        if one["type"] == fault
        for attribute in one["attributes"]
    ]
    names = {name for name, _ in own}
    keys = own + [(name, meaning) for name, meaning in _COMMON if name not in names]
    return [
        CompletionItem(f"{name}=", help=meaning) for name, meaning in keys if name.startswith(begun)
    ]


def _catalogue() -> list[Mapping[str, Any]]:
    from simulator.faults.board import catalogue  # noqa: PLC0415 - not needed for --help

    return catalogue()


if TYPE_CHECKING:
    from simulator.client import ControlApi


_Function = TypeVar("_Function", bound=Callable[..., Any])


def control_option(function: _Function) -> _Function:
    """Add ``--control``: which running simulator the command controls."""
    return click.option(
        "--control",
        type=TEXT,
        metavar="URL",
        help="Control URL, from the ready line of 'gapless simulate'; default: the simulator that "
        "was started last.",
    )(function)


@click.command("inject")
@click.argument("fault", type=TEXT, required=False, shell_complete=complete_fault)
@click.argument(
    "attributes", type=TEXT, nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_attribute
)
@click.option("--heal", is_flag=True, help="Heal FAULT, or every fault.")
@click.option("--list", "lists", is_flag=True, help="List all faults, or FAULT.")
@control_option
def command(
    fault: str | None, attributes: tuple[str, ...], *, heal: bool, lists: bool, control: str | None
) -> None:
    """Switch FAULT of a running simulator on, or heal it; without FAULT, list all faults.

    Besides its own attributes every fault accepts toxicity=0..1 (the share that it affects),
    name=TEXT, and a schedule: after_ms=N (delay), for_ms=N (duration), every_ms=N (repetition).
    """
    if heal and attributes:
        msg = "--heal takes no KEY=VALUE: give a fault to heal, or none to heal all"
        raise UsageError(msg)
    if lists:
        if heal or attributes:
            msg = "--list takes only a FAULT: leave out --heal and KEY=VALUE"
            raise UsageError(msg)
        _list(fault, control)
        return
    if fault is None and not heal:
        _list(None, control)
        return
    api = control_api(control)
    if heal and fault is None:
        healed = api.heal()
        click.echo(f"healed: {', '.join(healed) or 'no fault was on'}")
    elif heal and fault is not None:
        was_on = api.switch_off(fault)
        click.echo(f"healed: {fault if was_on else f'no fault {fault!r} was on'}")
    elif fault is not None:
        switched = api.switch_on(fault_request(fault, attributes, api.types()))
        values = " ".join(
            f"{name}={value}" for name, value in switched.get("attributes", {}).items()
        )
        click.echo(f"{switched.get('name', fault)} {values}".rstrip())


def fault_request(
    fault: str, attributes: Sequence[str], types: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Build the control API's request; ``types`` describes each fault's own attributes.

    Raises:
        UsageError: no such fault, or an attribute that is not KEY=NUMBER.
    """
    known = {str(one.get("type")): one for one in types}
    if fault not in known:
        near = get_close_matches(fault, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "'gapless inject --list' lists all"
        msg = f"no fault is called {fault[:80]!r}; {hint}"
        raise UsageError(msg)
    own = {str(one.get("name")) for one in known[fault].get("attributes", ())}
    body: dict[str, Any] = {"type": fault, "attributes": {}, "schedule": {}}
    given = Counter(text.partition("=")[0] for text in attributes)
    for text in attributes:
        name, equals, value = text.partition("=")
        if not equals:
            msg = f"{text!r} is not KEY=VALUE: write it like {next(iter(own), 'toxicity')}=1"
            raise UsageError(msg)
        if given[name] > 1:
            msg = f"{name}= is given {given[name]} times: give it once"
            raise UsageError(msg)
        if name == "name":
            body["name"] = value
        elif name == "toxicity":
            body["toxicity"] = _number(text, value, float)
            if not 0 <= body["toxicity"] <= 1:
                msg = f"{text!r}: toxicity is a share, from 0 to 1"
                raise UsageError(msg)
        elif name in _SCHEDULE and name not in own:
            body["schedule"][name] = _number(text, value, int)
        else:
            body["attributes"][name] = _number(text, value, int)
    return body


def _number(text: str, value: str, kind: type[int | float]) -> int | float:
    try:
        return kind(value)
    except ValueError as error:
        wanted = "a whole number" if kind is int else "a number"
        msg = f"{text!r}: {value!r} is not {wanted}"
        raise UsageError(msg) from error


def control_api(url: str | None) -> ControlApi:
    """Return the client of the simulator at that control URL; None: the newest one.

    Raises:
        GaplessError: no simulator is running, or it is not a URL.
    """
    from simulator.client import ControlApi  # noqa: PLC0415 - not needed for --help

    return ControlApi(_control_url(url))


def _control_url(control: str | None) -> str:
    if control is not None:
        if not control.startswith(("http://", "https://")):
            msg = f"--control {control[:80]!r} is not a URL: write it like http://127.0.0.1:40123"
            raise UsageError(msg)
        return control
    ready = newest_ready()
    if ready is None or "control" not in ready:
        msg = "no simulator is running: start one with 'gapless simulate', or give --control URL"
        raise CannotConnectError(msg)
    return str(ready["control"])


def _list(fault: str | None, control: str | None) -> None:
    """Print the faults, or one, with attributes, and whether a running simulator has them on."""
    on: set[object] = set()
    types: Sequence[Mapping[str, Any]] = _catalogue()
    if control is not None or newest_ready() is not None:
        api = control_api(control)
        on = {one.get("type") for one in api.faults() if one.get("on")}
        types = api.types()
    if fault is not None:
        types = [one for one in types if one.get("type") == fault] or types
        if len(types) > 1:
            fault_request(fault, (), types)  # raises an error that lists similar names
    for one in types:
        state = "on " if one.get("type") in on else "off"
        click.echo(f"{state} {one.get('type')}: {one.get('meaning')}")
        for attribute in one.get("attributes", ()):
            name, default = attribute.get("name"), attribute.get("default")
            click.echo(f"      {name}={default}  {attribute.get('meaning')}")
