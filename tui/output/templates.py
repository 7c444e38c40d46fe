r"""Formats of output by name, and templates: ``{time} {level:5} {user.id} {msg}``. Pure.

The syntax is that of ``str.format``: ``{{`` is a brace, and what follows a colon is a format
specification. Names are those of ``--fields``. Outside of braces ``\t``, ``\n`` and ``\\`` stand
for a tab, a newline and a backslash, since a shell hands them on as they are typed.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Final

import msgspec

from tui.lines.structure import Scalar
from tui.render.fields import OWN_NAMES, Field, parse_fields, value_text

FORMATS: Final = ("text", "short", "json", "raw")
_ALIASES: Final = {"detailed": "text"}

TEMPLATE_CHARS_MAX: Final = 4_096
WIDTH_MAX: Final = 1_000
"""A wider field would only be a way to fill the memory."""

_ESCAPES: Final = {"\\t": "\t", "\\n": "\n", "\\\\": "\\"}
_ESCAPE: Final = re.compile(r"\\[tn\\]")
_SIMILAR: Final = 0.8
"""Similarity from which on a name is taken for a misspelt one."""
_DIGITS: Final = re.compile(r"\d+")


def parse_format(text: str) -> str:
    """Check the name of a format or a template; return the name without aliases, or the template.

    Raises:
        ValueError: It is neither.
    """
    if "{" in text or "}" in text:
        parse_template(text)
        return text
    name = _ALIASES.get(text, text)
    if name in FORMATS:
        return name
    names = [*FORMATS, *_ALIASES]
    similar = get_close_matches(text.lower(), names, 1)
    hint = f": did you mean {similar[0]}?" if similar else ""
    msg = (
        f"{text[:40]!r} is not short, detailed (or text), json or raw, nor a template such as "
        f"'{{time}} {{msg}}'{hint}"
    )
    raise ValueError(msg)


class Part(msgspec.Struct, frozen=True):
    """A text, and the field that follows it; None at the end."""

    text: str
    field: Field | None = None
    specification: str = ""


class Template(msgspec.Struct, frozen=True):
    """A parsed template."""

    parts: tuple[Part, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that it names, in order."""
        return tuple(part.field for part in self.parts if part.field is not None)

    def fill(self, values: Sequence[Sequence[Scalar]]) -> str:
        """Insert values: of each of ``fields`` none, one or several."""
        filled = iter(values)
        return "".join(
            part.text if part.field is None else part.text + _formatted(next(filled), part)
            for part in self.parts
        )


def parse_template(text: str) -> Template:
    """Parse a template.

    Raises:
        ValueError: It is none; the message names the part that is wrong, and its position.
    """
    if len(text) > TEMPLATE_CHARS_MAX:
        msg = f"the template is longer than {TEMPLATE_CHARS_MAX:,} characters"
        raise ValueError(msg)
    parts = tuple(_parts(text))
    if all(part.field is None for part in parts):
        msg = f"{text[:40]!r} has no field: write '{{time}} {{msg}}'"
        raise ValueError(msg)
    return Template(parts)


def _parts(text: str) -> Iterator[Part]:
    at = 0
    for literal, name, specification, conversion in _pieces(text):
        shown = _ESCAPE.sub(lambda one: _ESCAPES[one[0]], literal)
        if name is None:
            yield Part(shown)
            continue
        at = text.index("{" + name, at) + 1
        if conversion:
            msg = f"!{conversion} in {{{name}!{conversion}}} at character {at} is not supported"
            raise ValueError(msg)
        field = _field(name, at)
        _check_specification(specification or "", field, at)
        yield Part(shown, field, specification or "")


def _pieces(text: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(text))
    except ValueError as error:
        at = _unbalanced_at(text)
        msg = (
            f"{text[at : at + 20]!r} at character {at + 1}: {error}; a brace itself is {{{{ or }}}}"
        )
        raise ValueError(msg) from error


def _unbalanced_at(text: str) -> int:
    """Where the brace stands that has no counterpart."""
    at, opened = 0, -1
    while at < len(text):
        char = text[at]
        if opened < 0 and text[at : at + 2] in ("{{", "}}"):
            at += 2
            continue
        if char == "{":
            opened = at if opened < 0 else opened
        elif char == "}":
            if opened < 0:
                return at
            opened = -1
        at += 1
    return max(0, opened)


def _field(name: str, at: int) -> Field:
    if not name.strip():
        msg = f"{{}} at character {at} names no field: write {{msg}} or {{user.id}}"
        raise ValueError(msg)
    fields = parse_fields(name)
    if len(fields) != 1 or fields[0].is_own or name.startswith('"'):
        return fields[0]
    similar = get_close_matches(name.lower(), OWN_NAMES, 1, _SIMILAR)
    if similar:
        msg = (
            f"unknown field {name!r} at character {at}: did you mean {{{similar[0]}}}? "
            f'A field of the lines is written {{"{name}"}}'
        )
        raise ValueError(msg)
    return fields[0]


def _check_specification(specification: str, field: Field, at: int) -> None:
    name = str(field)
    where = f"the format {specification!r} of {{{name}}} at character {at}"
    if any(int(one) > WIDTH_MAX for one in _DIGITS.findall(specification[:20])):
        msg = f"{where} is wider than {WIDTH_MAX:,}"
        raise ValueError(msg)
    # What every event has is text; a field of a line may be a number.
    fits = _fits(specification, "")
    if not fits and _fits(specification, 0, 0.0):
        if not field.is_own:
            return
        msg = f"{where} is for numbers, and {name} is text: write {{{name}:10}} or {{{name}:>10}}"
        raise ValueError(msg)
    if fits:
        return
    msg = f"{where} is unknown: write {{{name}:10}}, {{{name}:>10}} or {{{name}:.2f}}"
    raise ValueError(msg)


def _fits(specification: str, *examples: Scalar) -> bool:
    for example in examples:
        with suppress(ValueError):
            format(example, specification)
            return True
    return False


def _formatted(values: Sequence[Scalar], part: Part) -> str:
    """A field's values by its specification; where that is for numbers, texts stay as they are."""
    if not part.specification:
        return value_text(values)
    candidates: list[Scalar] = [value_text(values)]
    if len(values) == 1 and isinstance(values[0], int | float):
        candidates.insert(0, values[0])
    for value in candidates:
        with suppress(ValueError):
            return format(value, part.specification)
    return value_text(values)
