"""Replays a file for the screen: it loads the file and moves along it. A shell.

It has what the screen uses of the live engine, and the controls of a player.
"""

from __future__ import annotations

import asyncio
import io
import shlex
import time
from collections.abc import Callable
from typing import IO, Final

from common.concurrency import in_thread
from tui.client.refetch import LineRefetcher, OlderLines
from tui.client.status import Status
from tui.client.target import LineSource
from tui.lines.packed import release_free_memory
from tui.lines.rows import Change, Line
from tui.lines.timeline import Timeline
from tui.render import units
from tui.render.replay_text import PlayerStatus
from tui.replay.as_recorded import status_at
from tui.replay.content import DOCUMENT_BYTES_MAX, UTF8_MARK, Content, lines_of_document
from tui.replay.playback import STEP_MS, Playback
from tui.replay.reading import (
    LINE_BYTES_MAX,
    Reader,
    RecordReader,
    ReplayError,
    Steps,
    check_lines,
    open_reader,
)
from tui.replay.recording import Kind, Problems, RecordedTarget, Recording
from tui.replay.tape import Tape
from wire.limits import TIMESTAMP_MAX
from wire.messages import AlteredText

TICK_S: Final = 1 / 30
"""Interval between moves."""

BATCH_BYTES: Final = 1 << 19
"""Read at once: some thousand lines, parsed in some hundredths of a second."""

OPENING_LINES: Final = 10_000
"""Lines among which one must be usable, so that a wrong file is refused before the screen opens."""

ROWS_MAX: Final = 100_000_000
"""Rows in memory: a replay keeps all of them."""

_NO_RULE: Final = 0


class ReplaySource:
    """A file to replay, opened and known to have a usable line.

    Args:
        file: The file, at its beginning.
        name: What the screen calls it.
        size: Its size in bytes; None: unknown, as that of a pipe.
        path: Its path, for a command that makes it readable; empty: its name.

    Raises:
        ReplayError: Nothing in it can be used, or it cannot be read.
    """

    def __init__(self, file: IO[bytes], name: str, size: int | None, path: str = "") -> None:
        self.name = name
        self._path = path or name
        self.size = size
        self.read_bytes = 0
        self._content = self._open(file)
        self._file = self._content.file
        if self._content.is_compressed:
            self.size = None  # that of its lines is not known
        self._first = self._read_first()
        reader = self._reader()
        if reader is None or self._first[0].lstrip().startswith(b"["):
            self._first = self._read_document()
            reader = self._reader()
        if reader is None:
            reason = check_lines(self._first)
            if self._content.is_damaged:
                reason = "it cannot be decompressed"
            msg = (
                f"nothing in {name} can be replayed ({reason}): give a record "
                "of gapless tail --record, or NDJSON with a time in each object"
            )
            raise ReplayError(msg)
        self.reader: Reader = reader

    @property
    def is_record(self) -> bool:
        """Whether it is the record of a viewer."""
        return isinstance(self.reader, RecordReader)

    def read(self) -> list[bytes]:
        """Read the next lines; an empty list at the end.

        Raises:
            OSError: The file cannot be read any further.
        """
        if self._first:
            lines, self._first = self._first[:OPENING_LINES], self._first[OPENING_LINES:]
        else:
            lines = self._file.readlines(BATCH_BYTES)
        self.read_bytes += sum(map(len, lines))
        return lines

    def finish(self) -> Recording:
        """Return what was read."""
        recording = self.reader.finish()
        recording.problems.is_truncated |= self._content.is_damaged
        return recording

    def _open(self, file: IO[bytes]) -> Content:
        try:
            content = Content(file)
        except OSError as error:
            raise self._unreadable(error) from error
        if content.refusal is not None:
            what, command = content.refusal
            shown = "FILE" if self.size is None else shlex.quote(self._path)
            msg = f"{self.name} is {what}: {command} {shown} | gapless replay -"
            raise ReplayError(msg)
        return content

    def _unreadable(self, error: OSError) -> ReplayError:
        return ReplayError(f"cannot read {self.name} ({error.strerror}): give a file or a pipe")

    def _reader(self) -> Reader | None:
        try:
            return open_reader(self._first, self.name)
        except ReplayError as error:
            msg = f"{self.name} cannot be replayed: {error}"
            raise ReplayError(msg) from error

    def _read_first(self) -> list[bytes]:
        """Read lines until one can be used."""
        lines: list[bytes] = []
        try:
            while len(lines) < OPENING_LINES and (line := self._file.readline(LINE_BYTES_MAX)):
                if not lines:
                    line = line.removeprefix(UTF8_MARK)
                lines.append(line)
                if line.strip() and open_reader([line], self.name) is not None:
                    break
        except OSError as error:
            raise self._unreadable(error) from error
        return lines

    def _read_document(self) -> list[bytes]:
        """Read what may be JSON over several lines; return its objects, else its lines."""
        text = b"".join(self._first)
        if not text.lstrip().startswith((b"{", b"[")):
            return self._first
        try:
            text += self._file.read(DOCUMENT_BYTES_MAX)
            rest = self._file.readline()
        except OSError as error:
            raise self._unreadable(error) from error
        objects = [] if rest else lines_of_document(text)
        return objects or io.BytesIO(text + rest).readlines()


class ReplayEngine:
    """Loads a file and shows the rows of the moment at which the replay is.

    Args:
        source: The file.
        speed: Seconds of the recording in a second; None: everything at once.
        steady_ms: A monotonic clock.

    Attributes:
        timeline: The rows of the moment.
        refetcher: Fetches nothing: all rows are in memory.
        older: Likewise.
        loaded: Set once the file is read and its beginning, or its end, is shown.
    """

    def __init__(
        self,
        source: ReplaySource,
        *,
        speed: float | None,
        steady_ms: Callable[[], int] | None = None,
    ) -> None:
        self.steady_ms = steady_ms or (lambda: time.monotonic_ns() // 1_000_000)
        self.timeline = Timeline(ROWS_MAX)
        self.refetcher = LineRefetcher(self.timeline, [], self._note_change, self.steady_ms)
        self.older = OlderLines(
            self.timeline,
            list,
            lambda _session, _since: None,
            self._note_change,
            _NO_RULE,
            self.steady_ms,
        )
        self.loaded = asyncio.Event()
        self._source = source
        self._is_whole = speed is None
        self._playback = Playback(speed, self.steady_ms())
        self._recording: Recording | None = None
        self._newest_ms = 0
        self._failure = ""
        self._on_change: list[Callable[[Change], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._status: tuple[tuple[int, int], Status] | None = None

    # What the screen uses of an engine

    @property
    def status(self) -> Status:
        """The recorded status at this moment."""
        recording = self._recording or self._unread()
        at_ms, rows = self.position_ms, len(self.timeline)
        if self._status is None or self._status[0] != (at_ms, rows):
            self._status = (at_ms, rows), status_at(recording, self.timeline, at_ms)
        return self._status[1]

    @property
    def sources(self) -> list[LineSource]:
        """Where the lines come from, in the order of the targets."""
        return [one.source for one in self._targets]

    @property
    def position_ms(self) -> int:
        """The moment that is shown; while the file is being read, that of the newest line."""
        if self._recording is None or not self.loaded.is_set():
            return self._source.reader.began_ms or self._newest_ms
        return self._playback.position_ms

    @property
    def problems(self) -> Problems:
        """What of the file could not be used; empty until it is loaded."""
        return Problems() if self._recording is None else self._recording.problems

    def altered_text(self, line: Line) -> AlteredText | None:
        """The text that CloudWatch returned later for a line, if that was another one."""
        altered = {} if self._recording is None else self._recording.altered
        return altered.get((line.target, line.id))

    def on_change(self, callback: Callable[[Change], None]) -> None:
        """Call back after each change, in order, and after changes of the status alone."""
        self._on_change.append(callback)

    async def start(self) -> None:
        """Begin to load and to play."""
        self._tasks = [asyncio.create_task(one) for one in (self._run(), self._tidy())]

    async def stop(self) -> None:
        """Stop playing."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    def reconnect_now(self) -> None:
        """Do nothing: a file has no connection."""

    # The controls of a player

    @property
    def player(self) -> PlayerStatus:
        """Where the replay is."""
        source, playback = self._source, self._playback
        is_loading = not self.loaded.is_set()
        share = None if not source.size else min(100, 100 * source.read_bytes // source.size)
        return PlayerStatus(
            playback.began_ms,
            self.position_ms,
            playback.ended_ms,
            playback.speed,
            playback.is_paused,
            is_loading,
            share if is_loading else None,
            self._kind == "record",
            "" if self._recording is None else problem_text(self._recording),
        )

    def toggle(self) -> None:
        """Pause or go on; at the end, start from the beginning."""
        self._playback.toggle(self.steady_ms())

    def seek(self, at_ms: int) -> None:
        """Go to a moment, or to the nearest one of the recording."""
        self._playback.seek(at_ms, self.steady_ms())

    def seek_by(self, steps: int) -> None:
        """Go forwards or back by some steps of ten seconds."""
        self.seek(self._playback.advance(self.steady_ms()) + steps * STEP_MS)

    def to_start(self) -> None:
        """Go to the first moment."""
        self.seek(self._playback.began_ms)

    def to_end(self) -> None:
        """Go to the last moment."""
        self.seek(self._playback.ended_ms)

    def change_speed(self, direction: int) -> None:
        """Switch to the next speed, up (1) or down (-1)."""
        self._playback.change_speed(direction, self.steady_ms())

    # Loading

    @property
    def _kind(self) -> Kind:
        return "record" if self._source.is_record else "log"

    @property
    def _targets(self) -> list[RecordedTarget]:
        return self._source.reader.targets or [RecordedTarget(self._source.name)]

    def _unread(self) -> Recording:
        """What is known while the file is being read."""
        at_ms = self.position_ms
        return Recording(self._kind, self._targets, Tape(), at_ms, at_ms)

    async def _run(self) -> None:
        recording = await self._load()
        playback = self._playback
        playback.start(recording.began_ms, recording.ended_ms, self.steady_ms())
        while not recording.tape.is_at(playback.position_ms):
            self._move(recording.tape, playback.position_ms)
            await asyncio.sleep(0)
        playback.start(recording.began_ms, recording.ended_ms, self.steady_ms())
        self.loaded.set()
        while True:
            at_ms = playback.advance(self.steady_ms())
            if not recording.tape.is_at(at_ms):
                self._move(recording.tape, at_ms)
            is_there = recording.tape.is_at(at_ms)
            await asyncio.sleep(TICK_S if is_there else 0)

    async def _load(self) -> Recording:
        """Read the whole file in a thread, and show the rows of the first moment as they come."""
        reader = self._source.reader
        while True:
            lines, steps = await in_thread(self._read, name="replay")
            if not lines:
                break
            if self._is_whole:
                through_ms = TIMESTAMP_MAX
            else:
                through_ms = -1 if reader.began_ms is None else reader.began_ms
            self._newest_ms = max(self._newest_ms, *(row.timestamp for _, row in steps), 0)
            rows = [row for at_ms, row in steps if at_ms <= through_ms]
            for begin in range(0, len(rows), 2_000):
                self._note_change(self.timeline.add_many(rows[begin : begin + 2_000]))
                await asyncio.sleep(0)
            self._note_change(Change())
        self._recording = await in_thread(self._source.finish, name="replay")
        self._recording.problems.is_truncated |= bool(self._failure)
        return self._recording

    def _read(self) -> tuple[list[bytes], Steps]:
        """Read and parse the next lines, in a thread."""
        try:
            lines = self._source.read()
        except OSError as error:
            self._failure = error.strerror or str(error)
            return [], []
        return lines, self._source.reader.take(lines)

    def _move(self, tape: Tape, at_ms: int) -> None:
        move = tape.step(at_ms)
        change = self.timeline.remove_many(move.taken) if move.taken else Change()
        if move.put:
            change = change.then(self.timeline.add_many(move.put))
        self._note_change(change)

    def _note_change(self, change: Change) -> None:
        for callback in self._on_change:
            callback(change)

    async def _tidy(self) -> None:
        """Compress old blocks, a little at a time."""
        while True:
            is_tidy = not self.timeline.tidy()
            if is_tidy:
                release_free_memory()
            await asyncio.sleep(1 if is_tidy else 0.02)


def problem_text(recording: Recording) -> str:
    """What of a file could not be used, in a few words; empty if that is nothing."""
    found = recording.problems
    texts = []
    if found.is_truncated:
        texts.append("truncated: shown as far as it goes")
    if found.unusable:
        as_is = "it is" if found.unusable == 1 else "they are"
        texts.append(f"{units.plural(found.unusable, 'unusable line')} shown as {as_is}")
    if found.evicted:
        texts.append(f"{units.plural(found.evicted, 'line')} not recorded")
    if recording.tape.duplicates:
        texts.append(f"{units.plural(recording.tape.duplicates, 'duplicate')} left out")
    if found.unknown:
        kinds = "entry" if found.unknown == 1 else "entries"
        texts.append(f"{units.number(found.unknown)} {kinds} of a later version left out")
    return " \u00b7 ".join(texts)


def read_whole(source: ReplaySource) -> Recording:
    """Read a file to its end at once, for output."""
    for lines in iter(source.read, []):
        source.reader.take(lines)
    return source.finish()
