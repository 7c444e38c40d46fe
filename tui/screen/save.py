"""Saving what is shown to a file: text, or NDJSON where its name says so."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from typing import IO, Final

from common.concurrency import in_thread
from common.files import replace_file
from common.text import without_colours
from common.times import iso
from tui.client.target import LineSource
from tui.lines.rows import Line, Row, Rule, describe
from tui.output.formats import OutputStyle, format_json, format_text
from tui.output.ordering import PrintedLine
from tui.render import units
from tui.render.group_names import short_group_names
from tui.render.safe_text import harmless
from tui.screen.ports import RunExclusively, ShowMessage, ShownEngine
from tui.screen.widgets.log_view import LogView

NDJSON_SUFFIXES: Final = (".ndjson", ".jsonl", ".json")

SLICE_ROWS: Final = 2_000
"""Rows written in one call of a thread, which takes some ten milliseconds."""

PROGRESS_ROWS: Final = 100_000
"""Rows between two messages about the progress."""


class Saver:
    """Writes the shown or selected rows to a file, whose name the prompt asks for.

    ``zone`` returns the zone that times are shown in.
    """

    def __init__(
        self,
        engine: ShownEngine,
        log: LogView,
        show: ShowMessage,
        run: RunExclusively,
        zone: Callable[[], tzinfo],
    ) -> None:
        self._engine = engine
        self._log = log
        self._show = show
        self._run = run
        self._zone = zone
        self._confirmed = ""

    def label(self) -> str:
        """The prompt's label, with the number of rows that would be saved."""
        self._confirmed = ""
        begin, end = self._indexes()
        what = "selected row" if self._log.selection.span else "row"
        return f"save {units.plural(end - begin, what)} to"

    def check(self, text: str) -> str | None:
        """Validate a file name; returns what is wrong. An existing file needs a second Enter."""
        path = Path(text).expanduser()
        try:
            if path.is_dir():
                return "that is a folder: name a file in it"
            if not path.absolute().parent.is_dir():
                return f"there is no folder {path.parent}"
            if path.exists() and not path.is_file():
                return "that is not a regular file"
            if path.exists() and self._confirmed != text:
                self._confirmed = text
                return "exists already: Enter again replaces it"
        except (OSError, ValueError) as error:
            return str(error)
        return None

    def save(self, text: str) -> None:
        """Save to a file whose name passed ``check``."""
        self._run(partial(self._save, Path(text).expanduser().resolve()), "save")

    def _indexes(self) -> tuple[int, int]:
        if self._log.selection.span:
            return self._log.selection.indexes()
        return 0, len(self._log.selection.view)

    async def _save(self, path: Path) -> None:
        view = self._log.selection.view
        # Else only the newest of the rows that pass the filters would be saved.
        while self._log.filter_slice():  # noqa: ASYNC110 - it is the work that is repeated
            await asyncio.sleep(0)
        begin, end = self._indexes()
        first, last = view.rows(begin, begin + 1), view.rows(end - 1, end)
        if not first or not last:
            self._show("there is nothing to save")
            return
        try:
            count = await self._write(path, first[0].key, last[0].key)
        except OSError as error:
            self._show(f"cannot save {path.name}: {error.strerror or error}")
        else:
            self._show(f"saved {units.plural(count, 'row')} to {path.name}")

    async def _write(self, path: Path, key: int, last: int) -> int:
        """Write the rows from one key through another; returns their number.

        Rows that arrive meanwhile are written if their place is still ahead, so that it ends.
        """
        groups = [target.group for target in self._engine.status.targets]
        names = [one.shown_name for one in self._engine.sources]
        view = self._log.selection.view
        write = writer_of(path.name, groups, names, self._zone())
        count = 0
        with replace_file(path) as file:
            while True:
                begin, end = view.index_of(key), view.index_of(last + 1)
                rows = view.rows(begin, min(end, begin + SLICE_ROWS))
                if not rows:
                    break
                await in_thread(partial(_append, file, write, rows))
                key = rows[-1].key + 1
                count += len(rows)
                if count % PROGRESS_ROWS == 0:
                    self._show(f"saving: {units.plural(count, 'row')} so far")
            await in_thread(partial(_sync, file))
        return count


def _append(file: IO[bytes], write: Callable[[Row], bytes], rows: Sequence[Row]) -> None:
    file.writelines(map(write, rows))


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def writer_of(
    name: str,
    groups: Sequence[str | None],
    shown_names: Sequence[str] = (),
    zone: tzinfo = UTC,
) -> Callable[[Row], bytes]:
    """Choose how to format a row, newline included: NDJSON or text, by the file's suffix.

    ``zone`` is that of the times in text.
    """
    if name.lower().endswith(NDJSON_SUFFIXES):
        return lambda row: as_ndjson(row, groups) + b"\n"
    names = short_group_names(shown_names) if len(shown_names) > 1 else []
    return lambda row: as_plain(row, names, zone).encode("utf-8", "replace") + b"\n"


def as_plain(row: Row, names: Sequence[str] = (), zone: tzinfo = UTC) -> str:
    """``TIME [GROUP] STREAM MESSAGE``, as piped output has it; a rule between dashes."""
    if isinstance(row, Rule):
        return f"{iso(row.timestamp, zone)} -- {harmless(describe(row))} --"
    group = names[row.target] if row.target < len(names) else ""
    return format_text(_printed(row), OutputStyle(zone=zone), group=group)


def as_ndjson(row: Row, groups: Sequence[str | None]) -> bytes:
    """An event as piped JSON output has it, or a rule with its time range."""
    if isinstance(row, Line):
        group = groups[row.target] if row.target < len(groups) else None
        return format_json(_printed(row), LineSource("", group))
    fields = {
        "rule": row.kind,
        "from": row.from_ms,
        "through": row.through_ms,
        "text": describe(row),
    }
    return json.dumps(fields, separators=(",", ":")).encode()  # ASCII, so without C1 controls


def messages(rows: Iterable[Row], *, as_shown: bool) -> str:
    """The messages of the lines among the rows, joined by newlines; as shown: without colours."""
    texts = [row.message for row in rows if isinstance(row, Line)]
    return "\n".join(map(without_colours, texts) if as_shown else texts)


def _printed(line: Line) -> PrintedLine:
    return PrintedLine(line, is_late=line.late_ms > 0)
