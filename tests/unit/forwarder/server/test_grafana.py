"""The dashboard against the table of metrics: nothing unknown in it, and nothing left out."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from forwarder.server.metrics import METRICS, PROCESS_METRICS

PATH: Final = Path(__file__).parents[4] / "forwarder" / "server" / "grafana.json"
LABELS: Final = {
    **{one.name: {"group", *one.labels} for one in METRICS},
    **{one.name: set(one.labels) for one in PROCESS_METRICS},
}
COUNTERS: Final = {one.name for one in METRICS if one.kind == "counter"} | {
    one.name for one in PROCESS_METRICS if one.kind == "counter"
}
LEFT_OUT: Final[dict[str, str]] = {}
"""Metrics that no panel shows, each with the reason."""

_METRIC: Final = re.compile(r"\bgapless_\w+")
_SELECTED: Final = re.compile(r"\b(gapless_\w+)(?:\{([^}]*)\})?")
_LABEL: Final = re.compile(r'(\w+)(?:=~|!=|!~|=)"[^"]*"')
_BY: Final = re.compile(r"by \(([^)]*)\)")


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return loaded


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in dashboard["panels"] if one["type"] != "row"]


def expressions(dashboard: dict[str, Any]) -> list[str]:
    found = [target["expr"] for one in panels(dashboard) for target in one["targets"]]
    assert found
    return found


def test_it_is_whole(dashboard: dict[str, Any]) -> None:
    ids = [one["id"] for one in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs))
        assert all(target["legendFormat"] for target in panel["targets"])
    names = {one["name"] for one in dashboard["templating"]["list"]}
    assert names == {"datasource", "group"}


def test_no_panel_lies_on_another(dashboard: dict[str, Any]) -> None:
    places = [one["gridPos"] for one in dashboard["panels"]]
    for one, other in itertools.combinations(places, 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_above, (one, other)
    assert all(one["x"] + one["w"] <= 24 for one in places)


def test_every_expression_names_what_there_is(dashboard: dict[str, Any]) -> None:
    variables = [one["query"] for one in dashboard["templating"]["list"]]
    for text in [*expressions(dashboard), json.dumps(variables)]:
        assert set(_METRIC.findall(text)) <= set(LABELS), text
    for text in expressions(dashboard):
        assert text.count("(") == text.count(")")
        known: set[str] = set()
        for name, selected in _SELECTED.findall(text):
            known |= LABELS[name]
            assert set(_LABEL.findall(selected)) <= LABELS[name], text
            assert ("group" in LABELS[name]) == ("$group" in selected), text
        for names in _BY.findall(text):
            assert {one.strip() for one in names.split(",")} <= known, text


def test_counters_are_shown_as_rates_or_totals(dashboard: dict[str, Any]) -> None:
    for text in expressions(dashboard):
        for name, _ in _SELECTED.findall(text):
            is_counted = "rate(" in text or "increase(" in text or text.startswith("sum by (group)")
            assert (name in COUNTERS) == is_counted, text


def test_legends_name_labels_that_are_left(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            (first, *_) = _SELECTED.findall(target["expr"])
            by = _BY.findall(target["expr"])
            left = {one.strip() for one in by[0].split(",")} if by else LABELS[first[0]]
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left


def test_every_metric_is_shown(dashboard: dict[str, Any]) -> None:
    shown = {name for text in expressions(dashboard) for name in _METRIC.findall(text)}
    assert shown | set(LEFT_OUT) == set(LABELS)
    assert not shown & set(LEFT_OUT)
    assert all(LEFT_OUT.values())
