from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from random import Random
from xml.etree import ElementTree as ET

import pytest

from gapless.rehearsal.course import (
    Course,
    FaultLane,
    Gap,
    Says,
    Second,
    Span,
    StateChange,
    Verified,
    spoken,
)
from gapless.rehearsal.picture import draw
from gapless.rehearsal.reactions import reactions
from gapless.rehearsal.reports import (
    FORMATS,
    html_report,
    json_report,
    junit_report,
    markdown_report,
)
from gapless.rehearsal.result import RehearsalResult
from gapless.rehearsal.summary import COLUMNS, one_or_more, seconds, story, table_rows, verdict_line
from tests.support.rehearsals import HOSTILE, result
from wire.record import Mark

FAILED = {
    "ok": False,
    "verdict": {
        "clean": False,
        "shown": 8,
        "owed": 9,
        "lost": 1,
        "examples": {"lost": [HOSTILE]},
    },
    "unmet": ["cable: verified never"],
}


class Page(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_picture_says_what_happened() -> None:
    root = ET.fromstring(draw(result()))
    texts = [element.text or "" for element in root.iter() if element.tag.endswith("}text")]
    assert "cut, seed 7" in texts
    assert "PASS: 842 of 842 lines shown, 0 lost, 0 duplicated" in texts
    assert (
        "cable from 8.0 s to 18.0 s: seen after 0.1 s (reconnecting), connected again 1.9 s after "
        "its end, 232 lines recovered."
    ) in texts
    assert "disconnect down_ms=10_000" in texts
    assert texts[texts.index("disconnect down_ms=10_000") :][:5] == [
        "disconnect down_ms=10_000",
        "8.0 s to 18.0 s",
        "!",
        "2",
        "connections",
    ]
    assert texts[texts.index("connections") + 1 :][:4] == [
        "0.1 s",
        "reconnecting",
        "1.9 s",
        "2.5 s",
    ]
    assert "2.5 s" in texts
    assert "last fault ended: 18.0 s" in texts
    assert "complete and verified: 20.5 s" in texts
    assert any(text.endswith("run it again: gapless scenario run cut --seed 7") for text in texts)
    assert {"live", "reconnecting", "throttled", "repaired"} <= set(texts)


def test_a_picture_is_described_in_words() -> None:
    root = ET.fromstring(draw(result(), "first"))
    words = {element.attrib.get("id"): element.text or "" for element in root.iter()}
    assert root.attrib["aria-labelledby"] == "first-title first-desc"
    assert words["first-title"].startswith("cut, seed 7: PASS: 842 of 842")
    assert "connected again 1.9 s after its end" in words["first-desc"]
    assert "cable: verified again 2.5 s after its end." in words["first-desc"]


def test_a_picture_of_a_failure_begins_with_its_reasons() -> None:
    many = [f"fault-{number}: verified never, 10 s expected" for number in range(20)]
    root = ET.fromstring(draw(result(**FAILED | {"unmet": many, "unsafe": ["1 lost"]})))
    texts = [element.text or "" for element in root.iter() if element.tag.endswith("}text")]
    assert texts[1:4] == ["FAIL (8 of 9 lines shown)", "✗ 1 lost", f"✗ {many[0]}"]
    assert texts[10:12] == [f"✗ {many[7]}", "✗ … and 12 more"]


def test_a_fault_from_which_the_viewer_did_not_recover() -> None:
    lane = FaultLane("x" * 100, "disconnect", {"down_ms": 0}, spans=[Span(8_000)])
    states = [StateChange(0, "live"), StateChange(9_000, "reconnecting")]
    course = Course(faults=[lane], states=states, ends_ms=30_000, healed_ms=30_000)
    root = ET.fromstring(draw(result(course=course, reactions=reactions(course))))
    texts = [element.text or "" for element in root.iter() if element.tag.endswith("}text")]
    assert texts.count("never") == 2  # neither connected nor verified
    assert "from 8.0 s on" in texts
    assert not any(text.startswith("last fault ended") for text in texts)
    assert "".join(texts).count("x") > 100  # wrapped, not cut
    assert not any("…" in text for text in texts)


def texts_of(course: Course) -> list[str]:
    root = ET.fromstring(draw(result(course=course, reactions=reactions(course))))
    return [element.text or "" for element in root.iter() if element.tag.endswith("}text")]


def test_a_short_state_has_its_name_below_its_bar() -> None:
    states = [
        StateChange(0, "live"),
        StateChange(9_000, "reconnecting"),
        StateChange(9_200, "polling"),
        StateChange(9_500, "live"),
    ]
    texts = texts_of(Course(states=states, ends_ms=100_000))
    assert "reconnecting 0.2 s, polling 0.3 s" in texts
    assert "viewer reconnecting" in texts  # in the legend


def test_names_of_short_states_that_do_not_fit_are_counted() -> None:
    cycle = ((0, "reconnecting"), (100, "backfilling"), (200, "polling"), (300, "live"))
    states = [StateChange(at * 8_000 + part, name) for at in range(15) for part, name in cycle]
    texts = texts_of(Course(states=states, ends_ms=120_000))
    named = texts.count("reconnecting, backfilling, polling 0.3 s")
    assert 0 < named < 15
    note = f"{3 * (15 - named)} more short states: see the colours below"
    assert note in " ".join(texts)


@pytest.mark.parametrize("number", range(3))
def test_names_below_bars_neither_overlap_nor_leave_the_picture(number: int) -> None:
    random = Random(number)
    moments = sorted(random.sample(range(60_000), 40))
    names = random.choices(["live", "reconnecting", "polling", "backfilling"], k=40)
    states = [StateChange(at, name) for at, name in zip(moments, names, strict=True)]
    root = ET.fromstring(draw(result(course=Course(states=states, ends_ms=60_000), reactions=[])))
    places: dict[str, list[tuple[float, float]]] = {}
    for one in root.iter():
        if one.attrib.get("font-size") == "10" and re.search(r"\d s$", one.text or ""):
            left = float(one.attrib["x"])
            places.setdefault(one.attrib["y"], []).append((left, left + 4.5 * len(one.text or "")))
    assert places
    for row in places.values():
        row.sort()
        assert all(right <= left for (_, right), (left, _) in pairwise(row))
        assert row[-1][1] < 1_280


def test_states_of_cloudwatch_are_in_the_legend_and_explained() -> None:
    upstream = [
        StateChange(1_000, "credentials_expired", "run aws sso login"),
        StateChange(2_000, "delayed", "events are late"),
        StateChange(20_000, "ok"),
    ]
    texts = texts_of(Course(upstream=upstream, ends_ms=30_000))
    assert "CloudWatch ok" in texts
    assert "CloudWatch credentials expired, delayed" in texts
    assert texts[texts.index("CloudWatch credentials expired") + 1] == "run aws sso login"
    assert any(text.startswith("delayed stays on screen for 10 s after") for text in texts)


def test_the_charts_have_a_scale() -> None:
    lines = [Second(at_ms, lines=count) for at_ms, count in ((1_000, 1_600), (2_000, 30))]
    texts = texts_of(Course(seconds=lines, verified=[Verified(0, 0)], ends_ms=30_000))
    at = texts.index("behind by")
    assert texts[at + 2 : at + 4] == ["30.0 s", "15.0 s"]
    at = texts.index("lines received")
    assert texts[at + 2 : at + 4] == ["1,600", "400"]


def test_a_faster_run_says_that_its_texts_have_other_times() -> None:
    said = "Times in these texts are the scenario's own; the run was 2 times as fast."
    course = Course(says=[Says(0, "Ten seconds without a network.")])
    assert said in draw(result(course=course, reactions=[], speed=2.0)).replace("&#x27;", "'")
    assert "times as fast." not in draw(result(course=course, reactions=[]))
    assert "times as fast." not in draw(result(course=Course(), reactions=[], speed=2.0))


def test_a_text_stands_where_it_was_said() -> None:
    step = {"at_ms": 5_000, "says": "Late.", "action": "wait"}
    assert spoken([step, step | {"taken_ms": 9_000}]) == [
        Says(5_000, "Late."),
        Says(9_000, "Late."),
    ]


def test_ids_are_unique_in_a_page_and_every_reference_has_one() -> None:
    page = Page(html_report([result(), result(**FAILED)]))
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    filled = re.findall(r"url\(#([^)]*)\)", draw(result(), "run-1"))
    assert filled
    assert set(filled) <= set(ids)
    for _, attributes in page.tags:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids)


def test_a_picture_stays_within_its_frame() -> None:
    root = ET.fromstring(draw(result()))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter():
        if element.tag.endswith("}rect") and "x" in element.attrib:
            x, y, w, h = (float(element.attrib[name]) for name in ("x", "y", "width", "height"))
            assert 0 <= x <= x + w <= width
            assert 0 <= y <= y + h <= height


@pytest.mark.parametrize(
    "one",
    [
        result(course=None, reactions=[], error="no forwarder", ok=False),
        result(course=Course(), reactions=[]),
        result(**FAILED, file=HOSTILE, doc=HOSTILE, scenario=HOSTILE),
    ],
    ids=["not begun", "nothing happened", "hostile"],
)
def test_every_report_is_well_formed(one: RehearsalResult) -> None:
    ET.fromstring(draw(one))
    ET.fromstring(junit_report([one]))
    page = Page(html_report([one, result()]))
    assert [tag for tag, _ in page.tags].count("svg") == 2
    assert json.loads(json_report([one]))[0]["ok"] == one.ok
    for write in FORMATS.values():
        text = write([one])
        assert not set(text) & set("\x1b\x00")


def test_a_page_needs_nothing_else_and_escapes() -> None:
    text = html_report([result(**FAILED, doc=HOSTILE, file=HOSTILE)])
    page = Page(text)
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {"src", "srcset", "onclick", "onload"} & names
    assert "script" not in [tag for tag, _ in page.tags]
    assert "b" not in [tag for tag, _ in page.tags]
    assert "<b>&\"'|" in page.text
    assert "0 of 1 pass" in page.text
    assert "gapless scenario run" in page.text
    assert all(name in page.text for name in COLUMNS)


def test_markdown_for_a_ticket() -> None:
    text = markdown_report([result(), result(**FAILED)])
    assert "1 of 2 clean" in text
    assert (
        "| cable (disconnect) | down_ms=10_000 | 8.0 s | 18.0 s | 2 connections | 0.1 s | "
        "reconnecting | 1.9 s | 2.5 s |"
    ) in text
    assert "`gapless scenario run cut --seed 7`" in text
    assert "inject disconnect name=cable down_ms=10000" in text
    assert "through 8 count 5 digest abc" in text
    assert "<b>&\"'|\N{REPLACEMENT CHARACTER}[2J" in text
    rows = [line for line in text.splitlines() if line.startswith("| cable")]
    assert all(row.count(" | ") == len(COLUMNS) - 1 for row in rows)


@pytest.mark.parametrize("dropped", [0, 1_500])
def test_a_report_says_that_faults_are_missing(dropped: int) -> None:
    for text in (
        markdown_report([result(log_dropped=dropped)]),
        html_report([result(log_dropped=dropped)]),
    ):
        assert ("1,500 older entries are missing" in text) == bool(dropped)


def test_markdown_has_no_html_of_others() -> None:
    text = markdown_report([result(ok=False, error=HOSTILE)])
    assert text.count("\\<b>") == text.count("<b>") == 2  # in the verdict, and in its row


def test_junit_counts_failures_and_errors() -> None:
    runs = [result(), result(**FAILED), result(error="it stopped", ok=False, total_ms=1_500)]
    [suite] = ET.fromstring(junit_report(runs))
    assert suite.attrib["tests"] == "3"
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("1", "1")
    cases = list(suite)
    assert [case.attrib["name"] for case in cases] == ["cut seed 7"] * 3
    assert cases[1][0].attrib["type"] == "failure"
    assert [[one.tag for one in case] for case in cases] == [
        ["system-out"],
        ["failure", "system-out"],
        ["error", "system-out"],
    ]
    assert cases[1][0].attrib["message"].startswith("FAIL: 1 lost, cable: verified never")
    assert cases[2].attrib["time"] == "1.500"


def test_junit_tells_files_with_the_same_name_apart() -> None:
    root = ET.fromstring(junit_report([result(file="a/x.toml"), result(file="b/x.toml")]))
    names = [case.attrib["name"] for case in root.iter("testcase")]
    assert names == ["cut seed 7 (a/x.toml)", "cut seed 7 (b/x.toml)"]
    assert root.attrib["tests"] == "2"


def test_many_faults_in_a_sentence() -> None:
    lanes = [
        FaultLane(f"f{at}", "close", spans=[Span(at * 1_000, at * 1_000)]) for at in range(1, 5)
    ]
    course = Course(faults=lanes, ends_ms=9_000, healed_ms=4_000)
    one = result(course=course, reactions=reactions(course))
    assert story(one) == [
        "4 faults began between 1.0 s and 4.0 s; 0 of them left a sign on screen.",
        "The view was not verified again.",
    ]
    for lane in lanes[1:3]:
        lane.affected = 0
    one = result(course=course, reactions=reactions(course))
    assert story(one)[1] == "No effect was counted of f2, f3."
    assert table_rows(one.reactions)[1][4] == "0 connections"
    assert table_rows(one.reactions)[3][4] == "-"
    for lane in lanes:
        lane.affected = 7
    one = result(course=course, reactions=reactions(course))
    course.gaps = [Gap(0, 1_000, "lost", "the journal was lost")]
    newest = Mark(from_=0, through=8_500, scanned_at=9_000)
    marked = result(course=course, marks=[newest], reactions=reactions(course))
    assert "only later times, the last at 8.5 s: a range stays" in story(marked)[1]
    assert "a range stays incomplete (the journal was lost)" in story(one)[1]
    course.gaps = [
        Gap(0, 1_000, "repaired", "the connection was down"),
        Gap(0, 1_000, "suspected", "events are gone (log stream a); nothing can be verified"),
    ]
    assert story(one)[1] == (
        "The view was not verified from its beginning on again, only later times, the last at "
        "0.0 s: a range stays incomplete (events are gone)."
    )
    assert verdict_line(result(ok=False, converged_ms=None)).startswith(
        "FAIL: not converged within 9"
    )


@pytest.mark.parametrize(("ms", "text"), [(None, "-"), (1_249, "1.2 s"), (-60, "0.0 s")])
def test_seconds(ms: int | None, text: str) -> None:
    assert seconds(ms) == text


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("calls", "call"),
        ("deliveries", "delivery"),
        ("batches", "batch"),
        ("log groups", "log group"),
    ],
)
def test_one_of_what_is_counted(plural: str, singular: str) -> None:
    assert (one_or_more(1, plural), one_or_more(0, plural)) == (singular, plural)


def test_lines_that_nobody_could_show_are_explained() -> None:
    one = result(verdict={"clean": True, "shown": 90, "owed": 100, "vanished": 4, "expired": 6})
    assert verdict_line(one) == (
        "PASS: 90 of 100 lines shown, 0 lost, 0 duplicated, 6 deleted by CloudWatch's retention, "
        "and declared, 4 gone from CloudWatch before they could be read"
    )
