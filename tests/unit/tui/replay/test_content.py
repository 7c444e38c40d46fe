"""Files that are wrapped: compressed, with a byte order mark, or one JSON document."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.viewer.recordings import encoded, incident
from tui.replay.content import lines_of_document
from tui.replay.engine import ReplaySource, read_whole
from tui.replay.reading import ReplayError
from tui.replay.recording import Recording

LINES = [{"ts": 1_700_000_000 + at, "msg": f"grüße {at}"} for at in range(3)]
LOG = encoded(LINES)


def archive() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo("a.log")
        member.size = len(LOG)
        tar.addfile(member, io.BytesIO(LOG))
    return file.getvalue()


TAR = archive()


def read(data: bytes) -> Recording:
    return read_whole(ReplaySource(io.BytesIO(data), "a.log", len(data)))


def messages(data: bytes) -> list[str]:
    return [one.message for one in read(data).tape.in_display_order()]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_read(compress: Callable[[bytes], bytes]) -> None:
    assert messages(compress(LOG)) == messages(LOG)
    assert messages(compress(LOG) + compress(LOG)) == messages(LOG + LOG), "in two members"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_truncated_compressed_record_is_read_as_far_as_it_goes(
    compress: Callable[[bytes], bytes],
) -> None:
    data = encoded(incident(6_000))
    packed = compress(data)
    found = read(packed[: len(packed) * 2 // 3])
    assert found.problems.is_truncated
    if compress is not lzma.compress:  # whose first block is all of it
        assert 0 < len(found.tape) < len(read(data).tape)
    assert not read(packed).problems.is_truncated


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x1f\x8b\x08\x00xxxx\n", "it cannot be decompressed"),
        (gzip.compress(LOG)[:12], "it cannot be decompressed"),
        (gzip.compress(b""), "it is empty"),
        (b"\x28\xb5\x2f\xfd\x04", "a.log is compressed by zstd: zstd -dc a.log | gapless"),
        (b"PK\x03\x04" + LOG, "a.log is a ZIP archive: unzip -p a.log | gapless replay -"),
        (LOG.decode().encode("utf-16"), "UTF-16: iconv -f UTF-16 -t UTF-8 a.log | gapless"),
        (LOG.decode().encode("utf-16-le"), "UTF-16: iconv -f UTF-16LE -t UTF-8 a.log | gapless"),
        (LOG.decode().encode("utf-16-be"), "UTF-16: iconv -f UTF-16BE -t UTF-8 a.log | gapless"),
        (LOG.decode().encode("utf-32"), "UTF-32: iconv -f UTF-32 -t UTF-8 a.log | gapless"),
        (LOG.decode().encode("utf-32-le"), "UTF-32: iconv -f UTF-32LE -t UTF-8 a.log | gapless"),
        (LOG.decode().encode("utf-32-be"), "UTF-32: iconv -f UTF-32BE -t UTF-8 a.log | gapless"),
        (TAR, "a.log is a tar archive: tar -xOf a.log | gapless replay -"),
        (gzip.compress(TAR), "a.log is a tar archive: tar -xOf a.log | gapless replay -"),
        (b"[1, 2]", "line 1: it is not a JSON object"),
        (b'{"a":\n[}\n', "line 1: it is not a JSON object"),
    ],
    ids=[  # compressed data differs from one process to the next
        *("no gzip", "cut gzip", "empty gzip", "zstd", "zip"),
        *("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
        *("tar", "tar.gz", "numbers", "no json"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_remedy(data: bytes, reason: str) -> None:
    with pytest.raises(ReplayError) as refused:
        read(data)
    assert reason in str(refused.value)


def test_the_command_names_the_path_as_a_shell_reads_it() -> None:
    with pytest.raises(ReplayError, match=r"b c\.log is .*: tar -xOf '/a/b c\.log' \| gapless"):
        ReplaySource(io.BytesIO(TAR), "b c.log", len(TAR), "/a/b c.log")


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert messages(b"\xef\xbb\xbf" + LOG) == messages(LOG)
    assert read(b"\xef\xbb\xbf" + LOG).problems.unusable == 0


EVENTS = [
    {"logStreamName": "s", "timestamp": at, "message": f"m{at}", "eventId": str(at), "n": None}
    for at in range(3)
]


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("document", [{"events": EVENTS, "searchedLogStreams": []}, EVENTS])
def test_answers_of_cloudwatch_are_read(document: Any, indent: int | None) -> None:  # noqa: ANN401
    assert messages(json.dumps(document, indent=indent).encode()) == ["m0", "m1", "m2"]


def test_objects_over_several_lines_are_read() -> None:
    text = "\n".join(json.dumps(one, indent=2, ensure_ascii=False) for one in LINES)
    assert [json.loads(one) for one in messages(text.encode())] == LINES


def test_an_array_with_an_object_in_each_line_loses_none() -> None:
    text = "[\n" + ",\n".join(map(json.dumps, LINES)) + "\n]\n"
    assert [json.loads(one) for one in messages(text.encode())] == LINES


def test_a_log_that_begins_like_an_array_loses_no_line() -> None:
    found = read(b"[1]\n" + LOG)
    assert (found.problems.unusable, len(found.tape)) == (1, 4)


def test_results_of_a_query_are_read() -> None:
    row = [{"field": "@timestamp", "value": "2026-11-30 10:00:00.000"}]
    document = {"results": [row, row], "status": "Complete"}
    assert len(messages(json.dumps(document, indent=1).encode())) == 2


def test_half_of_a_surrogate_pair_is_kept() -> None:
    assert lines_of_document(b'[{"a": "\\ud800"}]') == [b'{"a": "\\ud800"}\n']


def test_what_is_no_json_has_no_objects() -> None:
    assert lines_of_document(b'{"a": 1} x') == []
    assert lines_of_document(b"[" * 200_000) == []
