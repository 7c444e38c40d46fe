"""The control API: faults, scenarios, ledger and verdict over HTTP, on 127.0.0.1 alone.

The vocabulary is toxiproxy's. Every refusal is ``{"error": "..."}`` with 400, 403, 404, 405, 408,
409 or 413. ``openapi.json`` beside this module describes each request and answer. A body is read as
JSON whatever its content type is said to be, so that ``curl -d`` suffices. A key that stands twice
in one object is refused.
"""

from __future__ import annotations

import io
import itertools
import json
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar, cast

import msgspec
from msgspec import Meta
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    HTTPException,
    MethodNotAllowed,
    RequestEntityTooLarge,
    RequestTimeout,
)
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from common.hosts import host_name
from common.text import unique_keys
from simulator.errors import ConflictError, NotFoundError, SimulatorError
from simulator.faults.board import Board, FaultRequest, catalogue
from simulator.oracle.ledger import Ledger, as_line
from simulator.programs.cluster import Cluster
from simulator.programs.forwarder import ForwarderProcess
from simulator.programs.viewers import Viewers
from simulator.scenarios.base import SPEED_MAX, Setup
from simulator.scenarios.conductor import Conductor
from simulator.scenarios.script import SCRIPT_BYTES_MAX, read_script
from simulator.workload.workload import Workload
from simulator.workload.writer import Writer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Changes:
    """Counts the changes of the simulator, and wakes requests that wait; used from any thread."""

    def __init__(self) -> None:
        self._seq = 0
        self._changed = threading.Condition()

    @property
    def seq(self) -> int:
        """The number of changes so far."""
        return self._seq

    def announce(self) -> None:
        """Count a change of the simulator, and wake the requests that wait for one."""
        with self._changed:
            self._seq += 1
            self._changed.notify_all()

    def wait(self, after: int, timeout_s: float) -> int:
        """Wait until the number is no longer ``after``, or time is over; the number then."""
        with self._changed:
            self._changed.wait_for(lambda: self._seq != after, timeout_s)
            return self._seq


RECORD_BYTES_MAX: Final = 1 << 30
"""More than the record of two million events of the workload."""

REQUEST_BYTES_MAX: Final = 65_536

SCRIPT_REQUEST_BYTES_MAX: Final = 1 << 20
"""A scenario file as JSON, in which a character may take six bytes."""

PATH_CHARS_MAX: Final = 4_096
"""Longest path of Linux (PATH_MAX)."""

_T = TypeVar("_T")
_LINES_A_CHUNK: Final = 500
_GRACE_MS_MAX: Final = 3_600_000

OPENAPI: Final = Path(__file__).with_name("openapi.json")
SEED_MAX: Final = 1 << 53
_PATH_CHARS_SHOWN: Final = 200
_HOSTS: Final = ("127.0.0.1", "localhost", "::1")

WAIT_MS_MAX: Final = 30_000
"""Longest that a request may wait for a change."""

WAITING_MAX: Final = 64
"""Requests that may wait for changes at once; each of them holds a thread."""

_URLS: Final = Map(
    [
        Rule("/simulator/faults", endpoint="faults", methods=["GET", "POST", "DELETE"]),
        Rule("/simulator/faults/<name>", endpoint="fault", methods=["GET", "DELETE"]),
        Rule("/simulator/log", endpoint="log", methods=["GET"]),
        Rule("/simulator/types", endpoint="types", methods=["GET"]),
        Rule("/simulator/heal", endpoint="heal", methods=["POST"]),
        Rule("/simulator/scenarios", endpoint="scenarios", methods=["GET"]),
        Rule("/simulator/scenarios/<name>", endpoint="run", methods=["POST"]),
        Rule("/simulator/scenario", endpoint="scenario", methods=["GET", "POST", "DELETE"]),
        Rule("/simulator/changes", endpoint="changes", methods=["GET"]),
        Rule("/simulator/viewers", endpoint="viewers", methods=["GET", "POST"]),
        Rule("/simulator/viewers/<int:pid>", endpoint="viewer", methods=["DELETE"]),
        Rule("/simulator/workload", endpoint="workload", methods=["GET", "POST"]),
        Rule("/simulator/ledger", endpoint="ledger", methods=["GET"]),
        Rule("/simulator/verdict", endpoint="verdict", methods=["POST"]),
        Rule("/simulator/executions", endpoint="executions", methods=["GET"]),
        Rule("/simulator/seed", endpoint="seed", methods=["GET"]),
        Rule("/simulator/openapi.json", endpoint="openapi", methods=["GET"]),
    ],
    merge_slashes=False,  # werkzeug would redirect, without saying where to
)


class _WorkloadRequest(msgspec.Struct, forbid_unknown_fields=True):
    running: bool


class _RunRequest(msgspec.Struct, forbid_unknown_fields=True):
    seed: Annotated[int, Meta(ge=0, le=SEED_MAX)] = 1
    speed: Annotated[float, Meta(ge=1, le=SPEED_MAX)] = 1.0


class _ScriptRequest(_RunRequest, forbid_unknown_fields=True, kw_only=True):
    script: Annotated[str, Meta(min_length=1, max_length=SCRIPT_BYTES_MAX)]
    path: Annotated[str, Meta(min_length=1, max_length=PATH_CHARS_MAX)] = "script"


class _ViewerRequest(msgspec.Struct, forbid_unknown_fields=True):
    pid: int


class Parts(NamedTuple):
    """The parts of the simulator that the control API controls."""

    board: Board
    ledger: Ledger
    workload: Workload
    writer: Writer
    now_ms: Callable[[], int]
    changes: Changes
    viewers: Viewers
    forwarder: ForwarderProcess | Cluster
    conductor: Conductor
    setup: Setup = Setup()


class Control:
    """The WSGI application that answers the control API."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._waiting = threading.BoundedSemaphore(WAITING_MAX)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one HTTP request; a WSGI application is a callable."""
        return self.respond(Request(environ))(environ, start_response)

    def respond(self, request: Request) -> Response:
        """Answer a request of the control API; refusals are JSON too."""
        if not _is_local(request):
            return _json({"error": "only programs on this machine are answered, no pages"}, 403)
        try:
            endpoint, values = _URLS.bind_to_environ(request.environ).match()
            answer: Response = getattr(self, f"_{endpoint}")(request, **values)
        except (HTTPException, SimulatorError) as error:
            return _refusal(request, error)
        except Exception as error:  # noqa: BLE001 - as JSON too, and never silently
            traceback.print_exc()
            text = f"unexpected error: {type(error).__name__}: {error}; see the simulator's stderr"
            return _json({"error": text}, 500)
        return answer

    def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            return self._heal(request)
        if request.method == "POST":
            return _json(self._parts.board.switch_on(_parse(_content(request), FaultRequest)))
        return _json(self._parts.board.describe_all())

    def _fault(self, request: Request, name: str) -> Response:
        if request.method == "DELETE":
            self._parts.board.switch_off(name)
            return Response(status=204)
        return _json(self._parts.board.describe(name))

    def _log(self, request: Request) -> Response:
        del request
        setup = self._parts.setup._asdict()
        return _json({**self._parts.board.log.describe(), "setup": setup})

    def _types(self, request: Request) -> Response:
        del request
        return _json(catalogue(is_cluster=self._parts.setup.forwarders > 1))

    def _heal(self, request: Request) -> Response:
        del request
        return _json({"healed": self._parts.board.heal()})

    def _changes(self, request: Request) -> Response:
        after = _number(request, "after", -1, 1 << 53)
        wait_ms = _number(request, "wait_ms", 0, WAIT_MS_MAX)
        if not self._waiting.acquire(blocking=False):
            msg = f"{WAITING_MAX} others wait for changes already: try again later"
            raise ConflictError(msg)
        try:
            # Read before the state: a change in between is then reported twice instead of never.
            seq = self._parts.changes.wait(after, wait_ms / 1_000)
        finally:
            self._waiting.release()
        return _json(
            {
                "seq": seq,
                "faults": self._parts.board.describe_all(),
                "fault_at_ms": self._parts.board.log.newest_ms,
                "forwarder": self._parts.forwarder.describe(),
                "scenario": self._parts.conductor.describe(),
                "running": self._parts.writer.is_running,
            }
        )

    def _scenarios(self, request: Request) -> Response:
        del request
        return _json(self._parts.conductor.describe_all())

    def _run(self, request: Request, name: str) -> Response:
        content = _content(request)
        options = _parse(content, _RunRequest) if content else _RunRequest()
        return _json(self._parts.conductor.run(name, options.seed, options.speed))

    def _scenario(self, request: Request) -> Response:
        conductor = self._parts.conductor
        if request.method == "POST":
            given = _parse(_content(request, SCRIPT_REQUEST_BYTES_MAX), _ScriptRequest)
            scenario = read_script(given.script, given.path)
            return _json(conductor.play(scenario, given.seed, given.speed))
        return _json(conductor.stop() if request.method == "DELETE" else conductor.describe())

    def _openapi(self, request: Request) -> Response:
        del request
        return Response(OPENAPI.read_bytes(), mimetype="application/json")

    def _viewers(self, request: Request) -> Response:
        viewers = self._parts.viewers
        if request.method == "POST":
            viewers.add(_parse(_content(request), _ViewerRequest).pid)
        return _json({"pids": viewers.pids()})

    def _viewer(self, request: Request, pid: int) -> Response:
        del request
        self._parts.viewers.remove(pid)
        return Response(status=204)

    def _workload(self, request: Request) -> Response:
        writer = self._parts.writer
        if request.method == "POST":
            given = _parse(_content(request), _WorkloadRequest)
            (writer.resume if given.running else writer.pause)()
            self._parts.changes.announce()
        # Read first: an event that is being written may be accepted in the next moment.
        is_idle = writer.is_idle
        accepted = len(self._parts.ledger)
        return _json({"running": writer.is_running, "idle": is_idle, "accepted": accepted})

    def _ledger(self, request: Request) -> Response:
        del request
        return Response(self._ledger_lines(), mimetype="application/x-ndjson")

    def _ledger_lines(self) -> Iterator[bytes]:
        lines = map(as_line, self._parts.ledger.events())
        while chunk := b"".join(itertools.islice(lines, _LINES_A_CHUNK)):
            yield chunk

    def _verdict(self, request: Request) -> Response:
        grace_ms = _number(request, "grace_ms", 0, _GRACE_MS_MAX)
        lines = _read_body(request, RECORD_BYTES_MAX)
        # Events that became visible within the grace, or are not visible yet, are pending.
        expected_before_ms = self._parts.now_ms() - grace_ms + 1
        verdict = self._parts.ledger.verdict(lines, expected_before_ms=expected_before_ms)
        return _json(verdict.report())

    def _executions(self, request: Request) -> Response:
        del request
        now_ms = self._parts.now_ms()
        return _json(
            [
                {
                    "execution": one.id,
                    "stream": one.stream,
                    "status": one.status(now_ms),
                    "started_ms": one.started_ms,
                    "ends_ms": one.ends_ms,
                }
                for one in self._parts.workload.executions(now_ms)
            ]
        )

    def _seed(self, request: Request) -> Response:
        del request
        return _json({"seed": self._parts.workload.seed})


def _refusal(request: Request, error: HTTPException | SimulatorError) -> Response:
    if isinstance(error, SimulatorError):
        status = 409 if isinstance(error, ConflictError) else 400
        return _json({"error": str(error)}, 404 if isinstance(error, NotFoundError) else status)
    path = request.path[:_PATH_CHARS_SHOWN]
    refusal = _json({"error": f"{request.method} {path}: {error.name}".lower()}, error.code or 500)
    if isinstance(error, MethodNotAllowed):  # RFC 9110, 15.5.6
        refusal.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return refusal


def _is_local(request: Request) -> bool:
    """Whether a program on this machine sent it, and not a web page in a browser here."""
    return host_name(request.host) in _HOSTS and "Origin" not in request.headers


def _number(request: Request, name: str, default: int, maximum: int) -> int:
    """Read a whole number, from 0 to ``maximum``, from the request's query.

    Raises:
        SimulatorError: it is none, above the maximum, or given twice.
    """
    texts = request.args.getlist(name)
    if not texts:
        return default
    if len(texts) > 1:
        msg = f"{name} is given {len(texts)} times: give it once"
        raise SimulatorError(msg)
    text = texts[0]
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= maximum):
        msg = f"{name} must be a whole number from 0 to {maximum}"
        raise SimulatorError(msg)
    return int(text)


class _LimitedBody(io.RawIOBase):
    """The body of a request, also of one in chunks, which does not say its length.

    Reading raises RequestEntityTooLarge, RequestTimeout, or BadRequest where it is cut off.
    """

    def __init__(self, stream: IO[bytes], bytes_max: int) -> None:
        self._stream = cast("io.RawIOBase", stream)
        self._left = bytes_max

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - the type of a buffer
        """Read the next part."""
        try:
            count = self._stream.readinto(buffer) or 0
        except ClientDisconnected as error:
            if isinstance(error.__context__, TimeoutError):
                raise RequestTimeout from error
            raise
        except TimeoutError as error:  # in chunks
            raise RequestTimeout from error
        except (OSError, ValueError) as error:  # of werkzeug: chunks that are none, or cut short
            raise BadRequest from error
        self._left -= count
        if self._left < 0:
            raise RequestEntityTooLarge
        return count


def _read_body(request: Request, bytes_max: int) -> io.BufferedReader:
    if (request.content_length or 0) > bytes_max:
        raise RequestEntityTooLarge
    return io.BufferedReader(_LimitedBody(request.stream, bytes_max))


def _content(request: Request, bytes_max: int = REQUEST_BYTES_MAX) -> bytes:
    return _read_body(request, bytes_max).read()


def _parse(content: bytes, kind: type[_T]) -> _T:
    try:
        value = _DECODER.decode(content)
        _KEYS.decode(content.decode())
        return msgspec.convert(value, kind)
    except (ValueError, RecursionError) as error:
        msg = f"the body is not as openapi.json has it: {error}"
        raise SimulatorError(msg) from error


def _decimal(text: str) -> int | float:
    """A number with a point or an exponent; JSON Schema takes 3.0 for a whole one."""
    number = float(text)
    return int(number) if number.is_integer() else number


_DECODER: Final = msgspec.json.Decoder(float_hook=_decimal)
_KEYS: Final = json.JSONDecoder(object_pairs_hook=unique_keys, parse_int=len, parse_float=len)
"""Refuses a key that stands twice, which msgspec does not notice; numbers are not its concern."""


def _json(answer: Any, status: int = 200) -> Response:  # noqa: ANN401 - any JSON value
    # Escaped, since log messages may hold lone surrogates.
    return Response(json.dumps(answer) + "\n", status, mimetype="application/json")
