"""Scenario files: TOML with a setup, steps and expectations, as docs/scenarios.md describes. Pure.

``read_script`` parses one, ``write_script`` writes one; both use the same keys. An error names the
file, the line, the key, and what the key accepts.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import textwrap
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import PurePath
from typing import Any, Final, NamedTuple

import msgspec

from common.errors import EXIT_USAGE
from common.times import TimeFormatError, parse_duration
from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute, FaultType
from simulator.faults.board import (
    FAULTS,
    HEAL_ALL,
    NAME_CHARS_MAX,
    FaultRequest,
    FaultSchedule,
    check_request,
    lasts_ms,
    needs,
)
from simulator.scenarios.base import (
    CLOUDWATCH_STATES,
    CONNECTION_STATES,
    STEPS_MAX,
    Action,
    Expectations,
    Heal,
    Inject,
    Scenario,
    Setup,
    Step,
    Wait,
    Write,
    fixed,
)

SCRIPT_BYTES_MAX: Final = 256 << 10
"""Largest scenario file: thousands of steps fit; anything larger is another kind of file."""

TEXT_CHARS_MAX: Final = 2_000
"""Longest text for the reader: the fault panel has room for a few lines."""

LENGTH_MS_MAX: Final = DAY_MS
"""Latest step of a scenario."""

FOREVER_MS: Final = 100_000 * DAY_MS
"""Longer than any limit of a duration."""

FORWARDERS_MAX: Final = 9
"""Each is two processes, and a machine has few cores."""

SINCE_MS_MAX: Final = 365 * DAY_MS
DELETING: Final = "retention_expire"
"""The fault with which CloudWatch deletes events for good."""

LONG_ENOUGH_MS: Final = 5_000
"""Duration that is suggested for a fault without an end of its own."""


_NAME: Final = re.compile(r"[\w.-]{1,100}", re.ASCII)
_FAULT_NAME: Final = re.compile(rf"[\w.-]{{1,{NAME_CHARS_MAX}}}")
"""As in the control API."""
_SECONDS: Final = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))?s|([0-9]{1,12})ms", re.ASCII)
_LONG_SPAN: Final = re.compile(r"[0-9]+(?:\.[0-9]{1,3}s|ms|[wdhms])", re.ASCII)
"""A duration of one unit, however long."""
_wrap: Final = textwrap.TextWrapper(98, break_long_words=False, break_on_hyphens=False).wrap
_LONG_NUMBER: Final = re.compile(r"[0-9_]{4000}", re.ASCII)
_AT_LINE: Final = re.compile(r" \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)\Z")


class ScriptError(SimulatorError):
    """A scenario file cannot be used; the text names the file, the line, the key and a remedy."""

    exit_code = EXIT_USAGE


Path = tuple[str | int, ...]
"""Where a value stands: the keys and indexes that lead to it."""

Reader = Callable[[object], Any]
"""Checks and converts a value; raises ValueError with what the value must be."""


# Values


def parse_span(value: object) -> int:
    """Parse a duration such as ``2m``, ``18.5s`` or ``350ms``; return ms.

    One that is too long for any use is ``FOREVER_MS``, so that the limit is named, not the form.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str):
        found = _SECONDS.fullmatch(value)
        if found is not None and found[3] is not None:
            return int(found[3])
        if found is not None:
            return 1_000 * int(found[1]) + int((found[2] or "").ljust(3, "0"))
        try:
            return parse_duration(value)
        except TimeFormatError:
            if _LONG_SPAN.fullmatch(value):
                return FOREVER_MS
    msg = f'must be a duration such as "5s", "1.5s", "350ms", "2m" or "1h", not {_shown(value)}'
    raise ValueError(msg)


def format_span(ms: int) -> str:
    """Format a duration exactly, so that ``parse_span`` returns the same ms."""
    seconds, rest = divmod(ms, 1_000)
    if rest:
        return f"{ms}ms" if not seconds else f"{seconds}.{rest:03d}".rstrip("0") + "s"
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and not seconds % length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _span(low_ms: int, high_ms: int) -> Reader:
    def read(value: object) -> int:
        ms = parse_span(value)
        if not low_ms <= ms <= high_ms:
            limits = f"{format_span(low_ms)} to {format_span(high_ms)}"
            msg = f"must be from {limits}, not {_shown(value)}"
            raise ValueError(msg)
        return ms

    return read


def _whole(low: int, high: int) -> Reader:
    def read(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            msg = f"must be a whole number from {low:,} to {high:,}, not {_shown(value)}"
            raise ValueError(msg)
        return value

    return read


def _number(low: float, high: float) -> Reader:
    def read(value: object) -> float:
        if type(value) not in (int, float) or not low <= float(str(value)) <= high:
            msg = f"must be a number from {low:g} to {high:,g}, not {_shown(value)}"
            raise ValueError(msg)
        return float(str(value))

    return read


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > TEXT_CHARS_MAX:
        msg = f"must be a text of 1 to {TEXT_CHARS_MAX:,} characters, not {_shown(value)}"
        raise ValueError(msg)
    return " ".join(value.split())


def _name(value: object, pattern: re.Pattern[str] = _NAME) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        msg = (
            f"must be a name of letters, digits, '.', '_' and '-' ({NAME_CHARS_MAX} at most), "
            f"not {_shown(value)}"
        )
        raise ValueError(msg)
    return value


def _fault_name(value: object) -> str:
    name = _name(value, _FAULT_NAME)
    if name == HEAL_ALL:
        msg = f"must not be {HEAL_ALL!r}, which heals every fault: choose another name"
        raise ValueError(msg)
    return name


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"must be true or false, not {_shown(value)}"
        raise ValueError(msg)  # noqa: TRY004 - readers raise ValueError alone
    return value


def _one_of(names: Sequence[str]) -> Reader:
    def read(value: object) -> str:
        if value not in names:
            msg = f"must be one of {', '.join(names)}, not {_shown(value)}{_near(value, names)}"
            raise ValueError(msg)
        return str(value)

    return read


_STATE_NAMES: Final = (*CONNECTION_STATES, *CLOUDWATCH_STATES)
_USUAL_STATES: Final = frozenset({"CONNECTING", "BACKFILLING", "LIVE", "ENDED"})
"""States that occur without a fault."""


def _states(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        msg = f"must be one or more of {', '.join(_STATE_NAMES)}, not []"
        raise ValueError(msg)
    return tuple(_one_of(_STATE_NAMES)(one) for one in values)


def _fault_type(value: object) -> str:
    if not isinstance(value, str) or value not in FAULTS:
        near = _near(value, list(FAULTS)) or "; 'gapless inject --list' lists all faults"
        msg = f"no fault is called {_shown(value)}{near}"
        raise ValueError(msg)
    return str(value)


def _shown(value: object) -> str:
    """A value as the file has it, but on one short line."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print an integer of thousands of digits
        return "a number of thousands of digits"
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, dt.date | dt.time):
        text = value.isoformat()
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004 - one line on a terminal


def _near(value: object, names: Sequence[str]) -> str:
    """The names that somebody may have meant, as a question; empty where none is similar."""
    if not isinstance(value, str):
        return ""
    same = {name.lower(): name for name in names}
    given = value.lower()
    found = get_close_matches(given, same, n=2, cutoff=0.6)
    found = [one for one in found if one.startswith(given)] or found
    return f"; did you mean {' or '.join(same[one] for one in found)}?" if found else ""


# Keys


class _Key(NamedTuple):
    """A key of a table: how it is read, and the name of the field that it sets."""

    read: Reader
    field: str


_TOP: Final = ("name", "doc", "story", "setup", "steps", "expect")

_SETUP: Final[Mapping[str, _Key]] = {
    "rate": _Key(_number(0.1, 50_000), "rate"),
    "executions": _Key(_whole(1, 1_000), "executions"),
    "source": _Key(lambda value: _one_of(("live", "poll"))(value) == "live", "is_live"),
    "since": _Key(_span(1_000, SINCE_MS_MAX), "since_ms"),
    "forwarders": _Key(_whole(1, FORWARDERS_MAX), "forwarders"),
    "group_age": _Key(_span(0, SINCE_MS_MAX), "group_age_ms"),
    "connect_after": _Key(_span(0, LENGTH_MS_MAX), "connect_after_ms"),
    "seed": _Key(_whole(0, 2**31), "seed"),
}

_EXPECT: Final[Mapping[str, _Key]] = {
    "lost": _Key(_whole(0, 1_000_000_000), "lost"),
    "reconnected_within": _Key(_span(1, LENGTH_MS_MAX), "reconnected_within_ms"),
    "verified_within": _Key(_span(1, LENGTH_MS_MAX), "verified_within_ms"),
    "recovered_at_least": _Key(_whole(0, 1_000_000_000), "recovered_at_least"),
    "state_seen": _Key(_states, "states_seen"),
}

_EXPECT_OF_SETUP: Final[Mapping[str, _Key]] = {
    "result": _Key(_one_of(("clean", "declared")), "expects"),
    "converged_within": _Key(_span(1, LENGTH_MS_MAX), "within_ms"),
}
"""Keys of ``[expect]`` that a ``Setup`` keeps."""

_ACTIONS: Final = ("inject", "heal", "write")
_STEP: Final = ("at", "say", *_ACTIONS)
_SCHEDULE: Final = ("after_ms", "for_ms", "every_ms")
_FAULT: Final = ("name", "toxicity", *_SCHEDULE)
"""Keys beside ``inject`` that every fault has, as with ``gapless inject``."""


_HOMES: Final[Mapping[str, Collection[str]]] = {
    "setup": _SETUP,
    "expect": {**_EXPECT, **_EXPECT_OF_SETUP},
    "steps": _STEP,
}
"""The keys of each table."""


def _home(name: str, path: Path) -> str:
    """Where a key that stands in the wrong table belongs; empty where none has it."""
    attributes = {one.name for kind in FAULTS.values() for one in kind.attributes}
    if path[:1] == ("steps",) and (name in _FAULT or name in attributes):
        return ", which belongs to a step with an inject of a fault that has it"
    for table, keys in _HOMES.items():
        if name in keys and path[:1] != (table,):
            return f", which belongs below {'[[steps]]' if table == 'steps' else f'[{table}]'}"
    return ""


# Reading


def read_script(text: str, path: str) -> Scenario:
    """Parse a scenario file.

    Args:
        text: Its content.
        path: Its path, for errors; the scenario is called as the file unless it has a name.

    Raises:
        ScriptError: it is not a valid scenario.
    """
    return _Script(text, path).scenario()


class _Script:
    """One scenario file while it is read."""

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path
        if len(text.encode("utf-8", "surrogatepass")) > SCRIPT_BYTES_MAX:
            msg = f"{path}: a scenario file has {SCRIPT_BYTES_MAX >> 10} KiB at most"
            raise ScriptError(msg)
        # Editors on Windows begin a file with a byte order mark, and end lines with CR LF.
        self._plain = text.removeprefix("\ufeff").replace("\r\n", "\n")
        try:
            self._data = tomllib.loads(self._plain)
        except tomllib.TOMLDecodeError as error:
            raise self._not_toml(str(error)) from error
        except RecursionError as error:
            nested = "too many brackets within one another"
            raise self._not_toml(nested) from error
        except ValueError as error:  # Python reads no integer of thousands of digits
            number = _LONG_NUMBER.search(self._plain)
            line = 0 if number is None else self._plain.count("\n", 0, number.start())
            msg = f"{path} line {line + 1}: a number has thousands of digits: write a smaller one"
            raise ScriptError(msg) from error

    def scenario(self) -> Scenario:
        data = self._data
        self._check_keys((), data, _TOP)
        name = self._read(("name",), data, _name, _stem(self._path))
        setup = self._table(("setup",), _SETUP, _EXPECT_OF_SETUP, of="setup")
        expect = self._table(("expect",), _EXPECT, _EXPECT_OF_SETUP, of="expect")
        steps = self._steps()
        self._check_faults(steps, Setup(**setup))
        self._check_expectations(steps, Setup(**setup), Expectations(**expect))
        return Scenario(
            name,
            self._read(("doc",), data, _text, f"The scenario of {self._path}."),
            fixed(*steps),
            Setup(**setup),
            self._read(("story",), data, _text, ""),
            Expectations(**expect),
            self._text,
            self._path,
        )

    def _table(
        self, path: Path, keys: Mapping[str, _Key], shared: Mapping[str, _Key], *, of: str
    ) -> dict[str, Any]:
        """The fields of a table; those of a setup include what ``[expect]`` says of it."""
        table = self._data.get(of, {})
        if not isinstance(table, dict):
            raise self._error(path, f"must be a table: write [{of}] on a line of its own")
        found = {}
        known = keys if of == "setup" else {**keys, **shared}
        self._check_keys(path, table, tuple(known))
        for name, key in keys.items():
            if name in table:
                found[key.field] = self._read((*path, name), table, key.read)
        expect = self._data.get("expect", {})
        for name, key in shared.items() if of == "setup" and isinstance(expect, dict) else ():
            if name in expect:
                found[key.field] = self._read(("expect", name), expect, key.read)
        return found

    def _steps(self) -> list[Step]:
        steps = self._data.get("steps")
        if not isinstance(steps, list) or not all(isinstance(one, dict) for one in steps):
            at = ("steps",) if "steps" in self._data else ()
            raise self._error(at, "needs steps: begin each with a line [[steps]]")
        if not steps:
            raise self._error(("steps",), "needs at least one step: begin it with [[steps]]")
        if len(steps) > STEPS_MAX:
            raise self._error(("steps", STEPS_MAX), f"is one of more than {STEPS_MAX:,} steps")
        injected: set[str] = set()
        found: list[Step] = []
        for index, table in enumerate(steps):
            step = self._step(("steps", index), table, injected)
            if found and step.at_ms < found[-1].at_ms:
                before = format_span(found[-1].at_ms)
                msg = f"is before the step above it, at {before}: put steps in the order of time"
                raise self._error(("steps", index, "at"), msg)
            found.append(step)
        return found

    def _step(self, path: Path, table: Mapping[str, Any], injected: set[str]) -> Step:
        actions = [name for name in _ACTIONS if name in table]
        if len(actions) > 1:
            msg = f"a step does one thing, not {' and '.join(actions)}: make two steps of it"
            raise self._error((*path, actions[1]), msg)
        kind: FaultType | None = None
        if "inject" in table:
            kind = FAULTS[self._read((*path, "inject"), table, _fault_type)]
        own = () if kind is None else tuple(one.name for one in kind.attributes)
        known = _STEP if kind is None else (*_STEP, *_FAULT, *own)
        self._check_keys(path, table, known, kind)
        if "at" not in table:
            raise self._error(path, 'has no time: add at = "5s", counted from the start')
        at_ms = self._read((*path, "at"), table, _span(0, LENGTH_MS_MAX))
        says = self._read((*path, "say"), table, _text, "")
        action: Action = Wait()
        if kind is not None:
            action = Inject(self._fault(path, table, kind))
            injected.add(action.fault.name or kind.type)
        elif "heal" in table:
            action = Heal(self._healed(path, table, injected))
        elif "write" in table:
            action = Write(self._read((*path, "write"), table, _flag))
        return Step(at_ms, action, says)

    def _check_faults(self, steps: Sequence[Step], setup: Setup) -> None:
        """Check that each fault can happen in this setup, and before the scenario is over."""
        last_ms = steps[-1].at_ms
        if setup.connect_after_ms and setup.connect_after_ms >= last_ms:
            where = ("setup", "connect_after")
            raise self._error(where, "must be before the last step, or no viewer ever connects")
        for index, step in enumerate(steps):
            if not isinstance(step.action, Inject):
                continue
            fault = step.action.fault
            missing = needs(fault.type, setup.forwarders, is_live=setup.is_live)
            if missing:
                raise self._error(("steps", index, "inject"), f"{fault.type} {missing}")
            begins_ms, lasts = step.at_ms + fault.schedule.after_ms, lasts_ms(fault)
            if begins_ms > last_ms or (begins_ms == last_ms and lasts != 0):
                later = format_span(min(begins_ms + (lasts or LONG_ENOUGH_MS), LENGTH_MS_MAX))
                msg = f"{fault.type} would be healed at once: the scenario ends with its last step"
                msg += f'; add one, such as [[steps]] at = "{later}"'
                raise self._error(("steps", index, "inject"), msg)

    def _check_expectations(
        self, steps: Sequence[Step], setup: Setup, expect: Expectations
    ) -> None:
        """Check that no expectation must fail, or holds whatever happens."""
        kinds = {step.action.fault.type for step in steps if isinstance(step.action, Inject)}
        if setup.expects == "declared" and DELETING not in kinds:
            msg = f'"declared" needs a step with inject = "{DELETING}": nothing else deletes events'
            raise self._error(("expect", "result"), msg)
        unusual = set(expect.states_seen) - _USUAL_STATES
        for name, is_given in (
            ("reconnected_within", expect.reconnected_within_ms is not None),
            ("verified_within", expect.verified_within_ms is not None),
            ("recovered_at_least", bool(expect.recovered_at_least)),
            ("state_seen", bool(unusual)),
        ):
            if is_given and not kinds:
                msg = "is about what the viewer does after a fault: add a step with an inject"
                raise self._error(("expect", name), msg)

    def _healed(self, path: Path, table: Mapping[str, Any], injected: set[str]) -> str:
        where = (*path, "heal")
        name = str(self._read(where, table, lambda value: _name(value, _FAULT_NAME)))
        if name == HEAL_ALL:
            return ""
        if name not in injected:
            names = (*sorted(injected), HEAL_ALL)
            msg = f"no step before it injects {_shown(name)}{_near(name, names)}"
            raise self._error(where, f"{msg}; it accepts {', '.join(names)}")
        return name

    def _fault(self, path: Path, table: Mapping[str, Any], kind: FaultType) -> FaultRequest:
        own = {one.name: one for one in kind.attributes}
        attributes = {
            name: self._read((*path, name), table, _whole(one.minimum, one.maximum))
            for name, one in own.items()
            if name in table
        }
        schedule = {
            name: self._read((*path, name), table, _whole(0, DAY_MS))
            for name in _SCHEDULE
            if name in table and name not in own
        }
        toxicity = self._read((*path, "toxicity"), table, _number(0, 1), None)
        name = self._read((*path, "name"), table, _fault_name, "")
        request = FaultRequest(kind.type, name, toxicity, attributes, FaultSchedule(**schedule))
        try:
            check_request(request)
        except SimulatorError as error:
            raise self._error(path, str(error)) from error
        return request

    def _check_keys(
        self,
        path: Path,
        table: Mapping[str, Any],
        known: Sequence[str],
        kind: FaultType | None = None,
    ) -> None:
        for name in table:
            if name not in known:
                whose = f"{kind.type} has" if kind is not None else "there is"
                names = sorted(known, key=lambda one: one not in _STEP) if kind else known
                hint = _home(name, path) or _near(name, known)
                msg = f"{whose} no key {_shown(name)}{hint}; the keys are "
                raise self._error((*path, name), msg + ", ".join(dict.fromkeys(names)))

    def _read(
        self, path: Path, table: Mapping[str, Any], read: Reader, default: object = None
    ) -> Any:  # noqa: ANN401 - a reader's value
        name = path[-1]
        if name not in table:
            return default
        try:
            return read(table[str(name)])
        except ValueError as error:
            raise self._error(path, str(error)) from error

    def _error(self, path: Path, text: str) -> ScriptError:
        line = _line_of(self._plain, path)
        where = "".join(f"[{one + 1}]" if isinstance(one, int) else f".{one}" for one in path)
        key = f"{where.removeprefix('.')}: " if path else ""
        return ScriptError(f"{self._path} line {line}: {key}{text}")

    def _not_toml(self, reason: str) -> ScriptError:
        found = _AT_LINE.search(reason)
        line = self._plain.count("\n") + 1
        column = ""
        if found is not None:
            reason = reason[: found.start()]
            if found[1]:
                line, column = int(found[1]), f", column {found[2]}"
        where = f"{self._path} line {line}{column}: not valid TOML: "
        return ScriptError(where + self._remedied(reason, line))

    def _remedied(self, reason: str, line: int) -> str:
        """A reason of ``tomllib`` with what to do about it."""
        here = (self._plain.split("\n")[line - 1 : line] or [""])[0].strip()
        if "\0" in self._plain:
            return "it has NUL characters: save it as a text in UTF-8"
        if reason == "Cannot overwrite a value":
            key = _shown(here.partition("=")[0].strip())
            return f"the key {key} stands twice in one table: leave one out"
        if reason.startswith("Cannot declare"):
            return f"{_shown(here)} stands twice: put its keys together, and write [[steps]] twice"
        if self._plain.lstrip().startswith("{"):
            return 'this may be JSON: write key = value, [setup], [[steps]] and at = "5s"'
        return f'{reason}: a line is a [table] or key = value, and texts stand in quotes, at = "5s"'


def _stem(path: str) -> str:
    stem = re.sub(r"[^\w.-]+", "-", PurePath(path).stem, flags=re.ASCII)[:NAME_CHARS_MAX]
    return stem or "scenario"


_CLOSINGS: Final = ("", "]", "}]")
"""What may end the first lines of a file, in the middle of an array or of its tables."""

STEP_BACK_MAX: Final = 50
"""Lines of one value, beyond which the place of an error within it is approximate."""


def _line_of(text: str, path: Path) -> int:
    """The line, from 1, at which the value at a path begins, in a text that is valid TOML.

    ``tomllib`` returns no positions. But the first lines that are TOML by themselves and have the
    value end with it, and it begins after the most lines that are TOML and do not have it. Lines
    that end within an array, or within tables of an array, are TOML once these are closed.
    """
    lines = text.split("\n")

    @cache
    def has_value(count: int) -> bool | None:
        """Whether the first lines have the value; None where they are not TOML."""
        for closing in _CLOSINGS:
            with contextlib.suppress(tomllib.TOMLDecodeError):
                return _has(tomllib.loads("\n".join(lines[:count]) + closing), path)
        return None

    def valid_part(count: int) -> tuple[int, bool]:
        """Of the first lines, how many are TOML by themselves, and whether they have the value."""
        lowest = max(0, count - STEP_BACK_MAX)
        for part in range(count, lowest, -1):
            found = has_value(part)
            if found is not None:
                return part, found
        return lowest, False

    low, high = 0, len(lines)
    while high - low > 1:
        middle = (low + high) // 2
        if valid_part(middle)[1]:
            high = middle
        else:
            low = middle
    return 1 + valid_part(high - 1)[0] if path else 1


def _has(data: Any, path: Path) -> bool:  # noqa: ANN401 - whatever the TOML has
    for one in path:
        is_item = isinstance(data, list) and isinstance(one, int) and one < len(data)
        if not (is_item or (isinstance(data, dict) and one in data)):
            return False
        data = data[one]
    return True


# Writing


def write_script(scenario: Scenario, seed: int | None = None, *, is_explained: bool = True) -> str:
    """Return a scenario as a file, which reads as the same steps, setup and expectations.

    Args:
        scenario: What to write.
        seed: The seed that its steps follow from; None: that of its setup.
        is_explained: Whether comments say what each attribute means and accepts.
    """
    setup = scenario.setup_for(scenario.setup.seed if seed is None else seed)
    lines = [f"name = {_quoted(scenario.name)}", f"doc = {_quoted(scenario.doc)}"]
    if scenario.story:
        lines += ['story = """', *map(_escaped, _wrap(" ".join(scenario.story.split()))), '"""']
    lines += _titled("setup", _fields(_SETUP, setup, Setup()))
    for step in sorted(scenario.steps(setup.seed), key=lambda one: one.at_ms):
        lines += ["", *_step_lines(step, is_explained=is_explained)]
    expect = _fields(_EXPECT_OF_SETUP, setup, Setup())
    lines += _titled("expect", expect + _fields(_EXPECT, scenario.expect, Expectations()))
    return "\n".join(lines) + "\n"


def _titled(title: str, lines: list[str]) -> list[str]:
    return ["", f"[{title}]", *lines] if lines else []


def _fields(keys: Mapping[str, _Key], values: object, defaults: object) -> list[str]:
    """The keys of a table whose values differ from the defaults."""
    return [
        f"{name} = {_value(name, key.field, getattr(values, key.field))}"
        for name, key in keys.items()
        if getattr(values, key.field) != getattr(defaults, key.field)
    ]


def _value(name: str, field: str, value: object) -> str:
    if name == "source":
        return _quoted("live" if value else "poll")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    if field.endswith("_ms") and isinstance(value, int):
        return _quoted(format_span(value))
    return _quoted(value) if isinstance(value, str) else repr(value)


def _step_lines(step: Step, *, is_explained: bool) -> list[str]:
    lines = ["[[steps]]", f"at = {_quoted(format_span(step.at_ms))}"]
    if step.says:
        lines.append(f"say = {_quoted(step.says)}")
    match step.action:
        case Inject(fault):
            lines.append(f"inject = {_quoted(fault.type)}")
            lines += _fault_lines(fault, FAULTS[fault.type], is_explained=is_explained)
        case Heal(name):
            lines.append(f"heal = {_quoted(name or HEAL_ALL)}")
        case Write(running):
            lines.append(f"write = {'true' if running else 'false'}")
        case _:
            pass
    return lines


def _fault_lines(fault: FaultRequest, kind: FaultType, *, is_explained: bool) -> list[str]:
    lines = [f"name = {_quoted(fault.name)}"] if fault.name else []
    if fault.toxicity is not None:
        lines.append(f"toxicity = {fault.toxicity!r}")
    known = {one.name: one for one in kind.attributes}
    for name, value in fault.attributes.items():
        note = f"  # {_explained(known[name])}" if is_explained else ""
        lines.append(f"{name} = {value:_}{note}")
    schedule: dict[str, int] = msgspec.to_builtins(fault.schedule)
    lines += [f"{name} = {value:_}" for name, value in schedule.items() if value]
    return lines


def _explained(one: Attribute) -> str:
    return f"{one.meaning}; {one.minimum:,} to {one.maximum:,}"


def _quoted(text: str) -> str:
    """A TOML basic string, which is JSON's but for the character DEL."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")


def _escaped(text: str) -> str:
    """A text within a TOML basic string."""
    return _quoted(text)[1:-1]
