"""Property tests: any input decodes to a message of the protocol or raises ``WireError``."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wire import messages
from wire.codec import decode_body, decode_client, decode_server, encode
from wire.digest import digest_hex, digest_sum, event_digest
from wire.errors import WireError
from wire.limits import SEQ_MAX, TIMESTAMP_MAX
from wire.order import (
    Interval,
    first_key,
    format_key,
    id_of,
    key_of,
    last_key,
    parse_interval,
    parse_key,
    timestamp_of,
)
from wire.query import (
    DigestQuery,
    Filter,
    LogsQuery,
    TailQuery,
    parse_digest,
    parse_feed,
    parse_logs,
    parse_tail,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
"""Includes lone surrogates."""

SEQS = st.integers(0, SEQ_MAX)
MILLIS = st.integers(0, TIMESTAMP_MAX)
DIGESTS = st.integers(0, (1 << 64) - 1).map(digest_hex)
IDS = st.integers(0, 10**57 - 1).map(str)
KEYS = st.builds(key_of, MILLIS, IDS)
ORIGINS = st.sampled_from(["live", "backfill", "repair"])
ITEMS = st.builds(
    messages.Item,
    seq=st.integers(1, SEQ_MAX),
    id=IDS,
    timestamp=MILLIS,
    ingestion_time=st.none() | MILLIS,
    stream=ANY_TEXT,
    message=ANY_TEXT,
    origin=ORIGINS,
)
RANGE: dict[str, Any] = {
    "from_": MILLIS,
    "through": MILLIS,
    "seq": SEQS,
    "count": SEQS,
    "digest": DIGESTS,
}
N = st.integers(1, SEQ_MAX)
SERVER = st.one_of(
    st.builds(
        messages.Welcome,
        n=N,
        epoch=ANY_TEXT,
        outcome=st.sampled_from(["fresh", "resumed", "rebased"]),
        after=SEQS,
        head_seq=SEQS,
        since=MILLIS,
        heartbeat_ms=st.integers(1, 600_000),
        lost=st.lists(st.builds(messages.Lost, MILLIS, MILLIS, ANY_TEXT), max_size=3),
    ),
    st.builds(messages.Events, n=N, after=SEQS, seq=SEQS, items=st.lists(ITEMS, max_size=4)),
    st.builds(messages.Backfill, n=N, held=ANY_TEXT, total=st.none() | SEQS, done=st.booleans()),
    st.builds(
        messages.Heartbeat,
        n=N,
        head_seq=SEQS,
        sent_seq=SEQS,
        upstream=st.builds(
            messages.Upstream,
            st.sampled_from(["ok", "delayed", "throttled", "unreachable"]),
            SEQS,
            ANY_TEXT,
            ANY_TEXT,
        ),
    ),
    st.builds(messages.Mark, n=N, scanned_at=MILLIS, **RANGE),
    st.builds(
        messages.Gap,
        n=N,
        id=ANY_TEXT,
        from_=MILLIS,
        through=MILLIS,
        state=st.sampled_from(["suspected", "repairing", "repaired", "unrecoverable"]),
        reason=ANY_TEXT,
        recovered=SEQS,
    ),
    st.builds(messages.DigestReply, n=N, **RANGE),
    st.builds(
        messages.End,
        n=N,
        execution=ANY_TEXT,
        status=st.sampled_from(["SUCCEEDED", "FAILED", "STOPPED", "UNKNOWN"]),
        **RANGE,
    ),
    st.builds(messages.Bye, n=N, reason=ANY_TEXT, retry_after_ms=SEQS),
)
CLIENT = st.one_of(
    st.builds(messages.Credit, SEQS),
    st.builds(messages.Verify, MILLIS, MILLIS),
    st.builds(messages.Repair, MILLIS, MILLIS),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
TYPES = ["welcome", "events", "backfill", "heartbeat", "mark", "gap", "digest", "end", "bye"]
NAMES = ["from", "through", "seq", "after", "items", "digest", "count", "held", "done", "lost"]
NEAR_MISSES = st.dictionaries(st.sampled_from(NAMES) | ANY_TEXT, JSON, max_size=8).flatmap(
    lambda rest: st.builds(
        lambda kind, n: {**rest, "type": kind, "n": n},
        st.sampled_from([*TYPES, "credit", "verify", "repair", "forecast"]) | JSON,
        st.integers() | JSON,
    )
)


def assert_one_line(error: WireError) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < 1000


def assert_message_or_wire_error(data: bytes | str) -> None:
    try:
        decoded = decode_server(data)
        assert isinstance(decoded, messages.ServerMessage | messages.UnknownMessage)
        assert decoded.n >= 1
    except WireError as error:
        assert_one_line(error)
    try:
        assert isinstance(decode_client(data), messages.ClientMessage)
    except WireError as error:
        assert_one_line(error)
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    for body in (messages.LogsPage, messages.DigestBody, messages.HttpError):
        try:
            assert isinstance(decode_body(raw, body), body)
        except WireError as error:
            assert_one_line(error)


def join_surrogates(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Pass a value through JSON, which joins a high and a low surrogate into one character."""
    text = json.dumps(msgspec.to_builtins(value))
    return json.loads(text)


@given(st.binary(max_size=200))
def test_arbitrary_bytes(data: bytes) -> None:
    assert_message_or_wire_error(data)


@given(ANY_TEXT)
def test_arbitrary_text(text: str) -> None:
    assert_message_or_wire_error(text)


@given(JSON | NEAR_MISSES)
def test_arbitrary_json(value: object) -> None:
    assert_message_or_wire_error(json.dumps(value))
    assert_message_or_wire_error(json.dumps(value, ensure_ascii=False))


@given(SERVER | CLIENT, st.data())
def test_valid_messages_with_bytes_changed(message: Any, data: st.DataObject) -> None:  # noqa: ANN401
    frame = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(frame) - 1))
        how = data.draw(st.sampled_from(["change", "cut", "insert", "end"]))
        if how == "change":
            frame[at] = data.draw(st.integers(0, 255))
        elif how == "cut":
            del frame[at : at + data.draw(st.integers(1, 8))]
        elif how == "insert":
            frame[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            del frame[at + 1 :]
        if not frame:
            break
    assert_message_or_wire_error(bytes(frame))


@given(SERVER | CLIENT, st.data())
def test_valid_messages_with_a_value_changed(message: Any, data: st.DataObject) -> None:  # noqa: ANN401
    built = msgspec.to_builtins(message)
    name = data.draw(st.sampled_from(sorted(built)))
    if data.draw(st.booleans()):
        built[name] = data.draw(JSON)
    else:
        del built[name]
    assert_message_or_wire_error(json.dumps(built))


@given(SERVER)
def test_server_messages_survive_a_round_trip(message: messages.ServerMessage) -> None:
    decoded = decode_server(encode(message))
    assert type(decoded) is type(message)
    assert msgspec.to_builtins(decoded) == join_surrogates(message)


@given(CLIENT)
def test_client_messages_survive_a_round_trip(message: messages.ClientMessage) -> None:
    assert decode_client(encode(message)) == message


@given(st.text(st.characters(exclude_categories=())), ANY_TEXT, IDS, MILLIS)
def test_the_digest_survives_a_round_trip(text: str, stream: str, event_id: str, ms: int) -> None:
    item = messages.Item(1, event_id, ms, None, stream, text, "live")
    decoded = decode_server(encode(messages.Events(after=0, seq=1, items=[item])))
    assert isinstance(decoded, messages.Events)
    (got,) = decoded.items
    assert event_digest(got.id, got.timestamp, got.stream, got.message) == event_digest(
        event_id, ms, stream, text
    )


@given(st.lists(st.integers(0, (1 << 64) - 1)), st.randoms())
def test_digest_sums_ignore_order(digests: list[int], shuffler: Any) -> None:  # noqa: ANN401
    shuffled = list(digests)
    shuffler.shuffle(shuffled)
    half = len(digests) // 2
    assert digest_sum(shuffled) == digest_sum(digests[half:], digest_sum(digests[:half]))
    assert 0 <= digest_sum(digests) < 1 << 64


@given(st.tuples(MILLIS, IDS), st.tuples(MILLIS, IDS))
def test_keys_compare_by_timestamp_then_id(one: tuple[int, str], two: tuple[int, str]) -> None:
    assert (key_of(*one) < key_of(*two)) == ((one[0], int(one[1])) < (two[0], int(two[1])))
    key = key_of(*one)
    assert (timestamp_of(key), str(id_of(key))) == one
    assert first_key(one[0]) <= key <= last_key(one[0])


@given(KEYS)
def test_keys_survive_a_round_trip(key: int) -> None:
    assert parse_key(format_key(key)) == key


@given(st.none() | KEYS, st.none() | KEYS, KEYS)
def test_intervals_survive_a_round_trip(low: int | None, high: int | None, key: int) -> None:
    if low is not None and high is not None and low > high:
        low, high = high, low
    interval = Interval(low, high)
    assert parse_interval(str(interval)) == interval
    inside = (low is None or low <= key) and (high is None or key <= high)
    assert (key in interval) is inside


@given(ANY_TEXT | st.from_regex(r"[0-9:.]{0,40}", fullmatch=True))
def test_arbitrary_text_as_a_key_or_interval(text: str) -> None:
    for parse in (parse_key, parse_interval):
        try:
            parse(text)
        except WireError as error:
            assert_one_line(error)


WORDS = st.text(min_size=1, max_size=40)
PATTERNS = st.just("") | WORDS.filter(str.strip)
FILTERS = st.builds(Filter, *([st.lists(WORDS, max_size=4).map(tuple)] * 3), PATTERNS)
INTERVALS = st.builds(
    lambda low, width: Interval(low, None if width is None else low + width),
    KEYS,
    st.none() | st.integers(0, 1000),
) | st.just(Interval())


@st.composite
def tails(draw: st.DrawFn) -> TailQuery:
    cursor = draw(st.booleans())
    return TailQuery(
        group=draw(st.none() | WORDS),
        filter=draw(FILTERS),
        since=draw(MILLIS if cursor else st.none() | MILLIS),
        epoch=draw(WORDS) if cursor else None,
        after=draw(SEQS) if cursor else None,
        held=draw(st.none() | INTERVALS) if cursor else None,
        history=draw(st.sampled_from(["newest", "oldest"])),
        base=draw(SEQS),
        credit=draw(st.none() | SEQS),
    )


@given(tails())
def test_tail_queries_survive_a_round_trip(query: TailQuery) -> None:
    assert parse_tail(query.encode()) == query


@given(
    st.builds(
        LogsQuery,
        group=st.none() | WORDS,
        filter=FILTERS,
        since=st.none() | MILLIS,
        through=st.none() | MILLIS,
        limit=st.integers(1, 10_000),
        next=st.none() | WORDS,
        until_seq=st.none() | SEQS,
    ),
    st.none() | st.tuples(WORDS, SEQS),
)
def test_logs_queries_survive_a_round_trip(
    query: LogsQuery, cursor: tuple[str, int] | None
) -> None:
    if cursor is not None:
        query = msgspec.structs.replace(query, epoch=cursor[0], after=cursor[1])
    assert parse_logs(query.encode()) == query


@given(
    st.builds(
        DigestQuery,
        group=st.none() | WORDS,
        filter=FILTERS,
        from_=MILLIS,
        through=MILLIS,
        epoch=WORDS,
        seq=SEQS,
        base=SEQS,
    )
)
def test_digest_queries_survive_a_round_trip(query: DigestQuery) -> None:
    assert parse_digest(query.encode()) == query


PARAMETERS = [
    "group", "stream", "execution", "prefix", "since", "epoch", "after", "held", "history",
    "base", "credit", "from", "through", "seq", "next", "limit", "until_seq",
]  # fmt: skip
PAIRS = st.lists(
    st.builds(
        lambda name, value: f"{name}={value}",
        st.sampled_from(PARAMETERS),
        st.sampled_from(["", "0", "1", "-1", "1:2..3:4", "newest", "%ff", "%", "%ed%a0%80"])
        | ANY_TEXT,
    ),
    max_size=8,
).map("&".join)


@given(ANY_TEXT | PAIRS)
def test_arbitrary_text_as_a_query(text: str) -> None:
    for parse in (parse_tail, parse_logs, parse_digest, parse_feed):
        try:
            parse(text)
        except WireError as error:
            assert_one_line(error)
