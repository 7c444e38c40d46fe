"""The bytes of each entry, which records on disk have, and what a reader makes of others."""

from __future__ import annotations

import re
from typing import get_args

import msgspec
import pytest

from wire.codec import encode
from wire.record import AnyEntry, EntryReader, Event, Mark, State

WRITTEN = re.sub(
    rb"\n  ",
    b"",
    rb"""
{"type":"record","version":1,"began":1,"targets":[{"name":"n","url":"u","group":"/g","since":2,
  "filter":{"streams":["a"],"executions":[],"prefixes":["w"],"pattern":"ERROR"}}]}
{"type":"record","version":1,"targets":["n"]}
{"type":"event","target":0,"seq":1,"id":"07","timestamp":2,"ingestion_time":null,
  "log_group":"/g","log_stream":"s","message":"m","origin":"live","late":false,
  "confirmed":true}
{"type":"event","target":0,"seq":1,"id":"07","timestamp":2,"ingestion_time":9,
  "log_group":null,"log_stream":"s","message":"\ud800","origin":"repair","late":true,
  "late_ms":7,"confirmed":false,"arrived":10,"recalled":true}
{"type":"mark","target":0,"from":1,"through":2,"scanned_at":3,"seq":4,"count":5,
  "digest":"6","equal":true,"confirmed":false}
{"type":"connection","target":0,"at":1,"outcome":"rebased","epoch":"e"}
{"type":"gap","target":0,"id":"g","from":1,"through":2,"state":"repaired","reason":"r",
  "recovered":3}
{"type":"lost","target":0,"from":1,"through":2,"reason":"r"}
{"type":"altered","target":0,"id":"7","timestamp":1,"message":null,"length":0}
{"type":"evicted","count":1,"from":2,"through":3}
{"type":"evicted","count":1,"from":2,"through":3,"reason":"r"}
{"type":"state","target":0,"at":1,"state":"live","detail":""}
{"type":"second","target":0,"at":1,"lines":2,"late":3,"repaired":4,"lag":5}
{"type":"verified","target":0,"at":1,"through":null}
{"type":"upstream","target":0,"at":1,"state":"throttled","reason":"r"}
{"type":"detail","target":0,"at":1,"detail":"d"}
{"type":"altered_lines","target":0,"at":1,"count":2}
{"type":"outage","target":0,"from":1,"through":null,"code":null,"reason":"r",
  "recovered":null,"outcome":null}
{"type":"rule","target":null,"at":1,"kind":"gap","timestamp":2,"number":3,"from":4,
  "through":null,"state":"","reason":"","count":null}
{"type":"status","ended":1,"state":"live","complete_through":2,"provisional":3,"missing":4,
  "lines":5,"duplicates":6,"late":7,"repaired":8,"unconfirmed":9,"altered":10,
  "uncompared_before":null,"ends":[{"execution":"x","status":"FAILED","from_ms":1,
  "through_ms":2,"count":3,"equal":true}]}
""",
).split()
"""Each type, with the fields that are left out at times, and without them."""

ANY = EntryReader[AnyEntry](AnyEntry)


@pytest.mark.parametrize("line", WRITTEN, ids=lambda line: line.split(b'"')[3].decode())
def test_an_entry_is_written_as_it_was_read(line: bytes) -> None:
    entry = ANY.read(line)
    assert entry is not None
    assert encode(entry) == line
    later = line[:-1] + b',"weather":{"rain":true}}'
    assert ANY.read(later) == entry, "a field of a later version"


def test_each_type_is_among_them() -> None:
    read = {type(ANY.read(line)) for line in WRITTEN}
    assert read == set(get_args(AnyEntry))


@pytest.mark.parametrize("message", ["m", "\\ud800"])
def test_entries_of_other_types_are_none_whether_well_formed_or_not(message: str) -> None:
    states = EntryReader[State](State)
    assert states.read(f'{{"type":"weather","message":"{message}"}}') is None
    assert states.read(f'{{"type":"event","message":"{message}"}}') is None


def test_a_field_that_is_missing_is_not_made_up() -> None:
    event = ANY.read(b'{"type":"event","id":"7","timestamp":1,"log_stream":"s","message":"m"}')
    assert isinstance(event, Event)
    assert event.confirmed is None
    assert not event.arrived


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"type":"mark","from":1,"through":2}', "missing required field `scanned_at`"),
        (
            b'{"type":"mark","from":"1","through":2,"scanned_at":3}',
            r"`int`, got `str` - at `\$.from`",
        ),
        (b'{"type":"mark","from":-1,"through":2,"scanned_at":3}', r">= 0 - at `\$.from`"),
        (b'{"type":"mark","digest":"\\ud800","from":-1}', r">= 0 - at `\$.from`"),
        (b'{"type":5}', r"`str`, got `int` - at `\$.type`"),
        (b"{}", "missing required field `type`"),
        (b"null", "`object`, got `null`"),
        (b'{"type":"mark"', "truncated"),
    ],
    ids=["missing", "wrong type", "range", "surrogate", "tag", "no tag", "no object", "cut"],
)
def test_the_reason_says_what_is_wrong(line: bytes, why: str) -> None:
    reader = EntryReader[Mark | State](Mark | State)
    with pytest.raises(msgspec.DecodeError, match=why) as caught:
        reader.read(line)
    assert "\n" not in str(caught.value)
