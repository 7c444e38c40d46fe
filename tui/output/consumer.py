"""Consumers: named readers of a target, each with a file that says what it has printed. A shell.

A consumer's file belongs to its name, target, log group and query. The default consumer of an
output form has one for each query; a named one refuses a second query of the same target, as
lines that only the new query matches would be skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from common.errors import GaplessError, UsageError
from common.files import read_regular, replace_file
from common.locks import FileLock
from common.times import iso
from tui.client.saved import Cursor, digest_of, identity_of, is_of_earlier_version
from tui.lines.rows import TARGET_BITS, Line
from tui.output.printed_keys import PrintedKeys
from tui.output.progress import Progress, Region
from wire.codec import encode
from wire.order import KEY_MAX, Interval, parse_interval
from wire.query import Filter

FILE_VERSION: Final = 1


class OutputQuery(msgspec.Struct, frozen=True):
    """Which lines of a target a consumer prints; ``--lines`` and ``--until`` only limit a run."""

    filter: Filter
    grep: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    level: str | None = None

    def sorted(self) -> OutputQuery:
        """The same query with its parts in a fixed order."""
        streams, executions, prefixes = (
            tuple(sorted(set(one)))
            for one in (self.filter.streams, self.filter.executions, self.filter.prefixes)
        )
        parts = Filter(streams, executions, prefixes, self.filter.pattern)
        grep, exclude = sorted(set(self.grep)), sorted(set(self.exclude))
        return OutputQuery(parts, tuple(grep), tuple(exclude), self.level)

    def describe(self) -> str:
        """The options that make this query."""
        given = self.filter
        options = [
            ("--stream", given.streams),
            ("--execution", given.executions),
            ("--prefix", given.prefixes),
            ("--filter-pattern", (given.pattern,) if given.pattern else ()),
            ("--grep", self.grep),
            ("--exclude", self.exclude),
            ("--level", (self.level,) if self.level else ()),
        ]
        return (
            " ".join(f"{name} {one}" for name, values in options for one in values) or "all lines"
        )


class ConsumedTarget(msgspec.Struct, frozen=True):
    """One target of a consumer.

    Attributes:
        identity: Identifies the target from run to run.
        group: The log group, if known.
        name: What messages call it.
        query: Which lines are printed.
    """

    identity: str
    group: str | None
    name: str
    query: OutputQuery


class _RegionText(msgspec.Struct, frozen=True):
    """A region as saved; keys are text, since they exceed every JSON number."""

    keys: str
    above: int
    through: int

    @classmethod
    def of(cls, region: Region) -> Self:
        high = None if region.high == KEY_MAX else region.high
        return cls(str(Interval(region.low, high)), region.above, region.through)

    def region(self) -> Region:
        keys = parse_interval(self.keys)
        high = KEY_MAX if keys.high is None else keys.high
        return Region(keys.low or 0, high, self.above, self.through)


class _ProgressFile(msgspec.Struct, frozen=True):
    """The file of one consumer and target."""

    version: int
    consumer: str
    target: str
    group: str | None
    query: OutputQuery
    since: int
    epoch: str
    held: tuple[_RegionText, ...]
    live: tuple[_RegionText, ...]
    is_renumbered: bool = False

    def progress(self) -> Progress:
        held, live = ([one.region() for one in each] for each in (self.held, self.live))
        return Progress(self.since, self.epoch, tuple(held), tuple(live), self.is_renumbered)


class Consumer:
    """One consumer of some targets, for the length of a run.

    Args:
        folder: The folder of saved cursors.
        name: The name given with ``--resume``; empty: the default one of the output form.
        form: The output form.
        targets: The targets, in their order.
        warn: Called with a message about a file that cannot be used.

    Attributes:
        title: What messages call it.
        progress: By target, what earlier runs printed; None for a new one.
        keys: By target, the keys of the lines that all runs printed last.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        form: str,
        targets: Sequence[ConsumedTarget],
        warn: Callable[[str], None],
    ) -> None:
        """Lock and load the files.

        Raises:
            UsageError: Another process is this consumer, or the consumer has another query.
        """
        self.title = name or form
        self._targets = list(targets)
        self._warn = warn
        self._folder, self._name, self._form = folder, name, form
        self._failed = False
        self._saved: dict[Path, bytes] = {}
        self._paths = [_path(folder, name, form, target) for target in targets]
        self._locks: list[FileLock] = []
        try:
            for path in dict.fromkeys(self._paths):
                self._locks.append(self._lock(path))
            self.progress = [
                self._load(folder, path, target)
                for path, target in zip(self._paths, targets, strict=True)
            ]
            # A target that was given twice has one file.
            known = {
                path: PrintedKeys(path.with_suffix(".keys"), is_new=one is None)
                for path, one in zip(self._paths, self.progress, strict=True)
            }
            self.keys = [known[path] for path in self._paths]
        except BaseException:
            self.close()
            raise

    def add_target(self, target: ConsumedTarget) -> int:
        """Print one more target as this consumer; return its number.

        Raises:
            UsageError: Another process is this consumer, or the consumer has another query.
        """
        path = _path(self._folder, self._name, self._form, target)
        known = dict(zip(self._paths, self.keys, strict=True)).get(path)
        if known is None:
            self._locks.append(self._lock(path))
        before = self._load(self._folder, path, target)
        self.progress.append(before)
        self.keys.append(known or PrintedKeys(path.with_suffix(".keys"), is_new=before is None))
        self._paths.append(path)
        self._targets.append(target)
        return len(self._targets) - 1

    def close(self) -> None:
        """Let another process be this consumer."""
        for lock in self._locks:
            lock.release()

    def start_of(self, target: int) -> tuple[int, Cursor] | None:
        """The ``since`` and the cursor from which a target's unprinted lines come; None if new."""
        known = self.progress[target]
        return None if known is None else (known.since, known.cursor)

    def check_since(self, since: int | None) -> None:
        """Check that a run asks for nothing before the consumer's own start.

        Raises:
            UsageError: It does; those lines would be skipped silently.
        """
        for known in self.progress:
            if since is not None and known is not None and since < known.since:
                msg = (
                    f"consumer {self.title!r} began at {iso(known.since)}: "
                    "for earlier lines choose another --resume NAME, or a later --since"
                )
                raise UsageError(msg)

    def note_printed(self, lines: Iterable[Line]) -> None:
        """Note printed lines; the next ``save`` writes them down."""
        by_target: dict[int, list[int]] = {}
        for line in lines:
            by_target.setdefault(line.target, []).append(line.key >> TARGET_BITS)
        for target, keys in by_target.items():
            self.keys[target].add(keys)

    def save(self, progress: Sequence[Progress | None]) -> None:
        """Save what was printed of each target; a failure is reported once."""
        # A target may have joined since the progress was stated.
        parts = zip(self._paths, self._targets, self.keys, progress, strict=False)
        for path, target, keys, known in parts:
            if known is None:
                continue
            data = encode(self._file(target, known))
            try:
                keys.save()
                if self._saved.get(path) == data:
                    continue
                with replace_file(path, sync=True) as file:
                    file.write(data)
                self._saved[path] = data
            except OSError as error:  # a full disk must not stop the lines
                self._report_failure(path, error)

    def _file(self, target: ConsumedTarget, known: Progress) -> _ProgressFile:
        return _ProgressFile(
            version=FILE_VERSION,
            consumer=self.title,
            target=target.identity,
            group=target.group,
            query=target.query.sorted(),
            since=known.since,
            epoch=known.epoch,
            held=tuple(map(_RegionText.of, known.held)),
            live=tuple(map(_RegionText.of, known.live)),
            is_renumbered=known.is_renumbered,
        )

    def _report_failure(self, path: Path, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            self._warn(
                f"cannot save what was printed ({error.strerror}: {path}): "
                f"the next run of consumer {self.title!r} repeats lines"
            )

    def _lock(self, path: Path) -> FileLock:
        try:
            lock = FileLock.take(path.with_suffix(".used"))
        except OSError as error:
            msg = f"cannot write {path} ({error.strerror}): run with --no-resume"
            raise GaplessError(msg) from error
        if lock is None:
            msg = (
                f"another process prints as consumer {self.title!r}: "
                "end it, or choose another --resume NAME"
            )
            raise UsageError(msg)
        return lock

    def _load(self, folder: Path, path: Path, target: ConsumedTarget) -> Progress | None:
        try:
            file = msgspec.json.decode(read_regular(path), type=_ProgressFile)
            progress = file.progress()
        except FileNotFoundError:
            if is_of_earlier_version(folder, target.identity, target.group, target.query.filter):
                self._warn(
                    f"the cursor that an earlier version saved for {target.name} is not used, as "
                    f"other viewers moved it too: consumer {self.title!r} starts at its --since"
                )
            return None
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
            why = error.strerror if isinstance(error, OSError) else "it is damaged"
            self._warn(f"cannot resume consumer {self.title!r} ({why}: {path}): starting over")
            return None
        if file.version != FILE_VERSION:
            self._warn(
                f"cannot resume consumer {self.title!r} (another version wrote {path}): "
                "starting over"
            )
            return None
        if file.query != target.query.sorted():
            msg = (
                f"consumer {self.title!r} prints another query of {target.name} "
                f"({file.query.describe()}): repeat those options, or choose another --resume NAME"
            )
            raise UsageError(msg)
        return progress


def _path(folder: Path, name: str, form: str, target: ConsumedTarget) -> Path:
    """Return the file; a default consumer has one for each query."""
    parts: list[Any] = ["output", target.identity, target.group, name]
    if not name:
        query = target.query.sorted()
        parts += [form, {**msgspec.to_builtins(query), "filter": identity_of(query.filter)}]
    return folder / f"{digest_of(parts)}.output.json"
