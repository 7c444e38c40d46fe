"""``openapi.json`` says what the control API does: every route, every body, every answer."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types
from werkzeug.test import Client

from simulator import control
from simulator.control import OPENAPI, REQUEST_BYTES_MAX, SCRIPT_REQUEST_BYTES_MAX, Control, Parts
from simulator.faults.board import FAULTS
from tests.support.simulator.simulator_parts import make_parts
from tests.support.simulator.viewer_records import faithful, record

DOC: Final = json.loads(OPENAPI.read_text(encoding="utf-8"))

RECORD: Final = object()
"""Stands for the record of a viewer that shows everything."""

HUGE: Final = b" " * (REQUEST_BYTES_MAX + 1)

CALLS: Final[list[tuple[str, str, str, object, int]]] = [
    # path in the document, its name or query, method, body, status
    ("/simulator/faults", "", "post", {"type": "disconnect"}, 200),
    ("/simulator/faults", "", "post", {"type": "x"}, 400),
    ("/simulator/faults", "", "post", b"[" * 60_000, 400),
    ("/simulator/faults", "", "post", HUGE, 413),
    ("/simulator/faults", "", "get", None, 200),
    ("/simulator/faults/{name}", "disconnect", "get", None, 200),
    ("/simulator/log", "", "get", None, 200),
    ("/simulator/changes", "?after=0&wait_ms=1", "get", None, 200),
    ("/simulator/changes", "?after=x", "get", None, 400),
    ("/simulator/faults/{name}", "disconnect", "delete", None, 204),
    ("/simulator/faults/{name}", "disconnect", "delete", None, 404),
    ("/simulator/faults/{name}", "disconnect", "get", None, 404),
    ("/simulator/faults", "", "delete", None, 200),
    ("/simulator/heal", "", "post", None, 200),
    ("/simulator/types", "", "get", None, 200),
    ("/simulator/scenario", "", "get", None, 200),
    ("/simulator/scenarios", "", "get", None, 200),
    ("/simulator/scenarios/{name}", "cable", "post", {"seed": 4}, 200),
    ("/simulator/scenarios/{name}", "cable", "post", None, 409),
    ("/simulator/scenarios/{name}", "cable", "post", {"seed": -1}, 400),
    ("/simulator/scenario", "", "post", {"script": '[[steps]]\nat = "1s"'}, 409),
    ("/simulator/scenarios/{name}", "x", "post", None, 404),
    ("/simulator/scenarios/{name}", "cable", "post", HUGE, 413),
    ("/simulator/scenario", "", "get", None, 200),
    ("/simulator/changes", "", "get", None, 200),
    ("/simulator/scenario", "", "delete", None, 200),
    ("/simulator/scenario", "", "post", {"script": '[[steps]]\nat = "1s"'}, 200),
    ("/simulator/scenario", "", "post", {"script": "[[steps]]", "path": "a.toml"}, 400),
    ("/simulator/scenario", "", "post", {"seed": 1}, 400),
    ("/simulator/scenario", "", "post", b" " * (SCRIPT_REQUEST_BYTES_MAX + 1), 413),
    ("/simulator/viewers", "", "get", None, 200),
    ("/simulator/viewers", "", "post", {"pid": 1}, 409),
    ("/simulator/viewers", "", "post", {}, 400),
    ("/simulator/viewers", "", "post", HUGE, 413),
    ("/simulator/viewers/{pid}", "1", "delete", None, 404),
    ("/simulator/workload", "", "get", None, 200),
    ("/simulator/workload", "", "post", {"running": False}, 200),
    ("/simulator/workload", "", "post", {}, 400),
    ("/simulator/workload", "", "post", HUGE, 413),
    ("/simulator/ledger", "", "get", None, 200),
    ("/simulator/verdict", "", "post", RECORD, 200),
    ("/simulator/verdict", "", "post", b"no record", 400),
    ("/simulator/executions", "", "get", None, 200),
    ("/simulator/seed", "", "get", None, 200),
    ("/simulator/openapi.json", "", "get", None, 200),
]

BODIES: Final[dict[str, list[object]]] = {
    "/simulator/faults": [
        {"type": "disconnect"},
        {"type": "disconnect", "name": "a.b-c_d", "toxicity": 0.5, "attributes": {"down_ms": 1}},
        {"type": "disconnect", "toxicity": None, "schedule": {"after_ms": 86_400_000}},
        {"type": "disconnect", "toxicity": 1.01},
        {"type": "disconnect", "toxicity": "1"},
        {"type": "disconnect", "name": "a b"},
        {"type": "disconnect", "name": "x" * 101},
        {"type": "disconnect", "attributes": {"down_ms": "1"}},
        {"type": "disconnect", "attributes": []},
        {"type": "disconnect", "attributes": {"down_ms": 3.0}},
        {"type": "disconnect", "attributes": {"down_ms": 3.5}},
        {"type": "disconnect", "attributes": {"down_ms": -1}},
        {"type": "disconnect", "attributes": {"delay_ms": 1}},
        {"type": "throttle", "attributes": {"down_ms": 1}},
        {"type": "disconnect", "schedule": {"for_ms": -1}},
        {"type": "disconnect", "schedule": {"for_ms": 86_400_001}},
        {"type": "disconnect", "schedule": {"every_ms": -1}},
        {"type": "disconnect", "schedule": {"more": 1}},
        {"type": "disconnect", "more": 1},
        {"type": 1},
        {},
        [],
    ],
    "/simulator/scenario": [
        {"script": '[[steps]]\nat = "1s"', "seed": 3, "speed": 2, "path": "x.toml"},
        {"script": ""},
        {"script": 1},
        {"script": "x = 1", "more": 1},
        {},
    ],
    "/simulator/workload": [{"running": True}, {"running": 1}, {}, {"running": True, "more": 1}],
    "/simulator/scenarios/{name}": [
        {},
        {"seed": 0, "speed": 20},
        {"speed": 0.5},
        {"speed": 101},
        {"seed": -1},
        {"seed": "1"},
        {"seed": 200.0},
        {"seed": 200.5},
        {"more": 1},
        1,
    ],
}


@pytest.fixture
def parts() -> Parts:
    return make_parts()


@pytest.fixture
def client(parts: Parts) -> Client:
    return Client(Control(parts))


def check(schema: dict[str, Any], value: object) -> bool:
    """Whether a value is as a schema of the document has it."""
    validator = Draft202012Validator({**schema, "components": DOC["components"]})
    return bool(validator.is_valid(value))


def url(path: str, rest: str) -> str:
    return path if rest == "" else path.partition("{")[0] + rest


def as_sent(body: object, parts: Parts) -> str | bytes | None:
    """A body of the table, as a request has it."""
    if body is RECORD:
        return "\n".join(record(faithful(list(parts.ledger.events()))))
    return body if isinstance(body, bytes) or body is None else json.dumps(body)


def test_it_is_served(client: Client) -> None:
    assert json.loads(client.get("/simulator/openapi.json").get_data()) == DOC
    assert DOC["openapi"] == "3.1.0"
    for schema in DOC["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_it_has_every_route_and_no_other() -> None:
    routes = {
        (rule.rule.replace("<int:", "{").replace("<", "{").replace(">", "}"), method.lower())
        for rule in control._URLS.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    said = {
        (path, method)
        for path, operations in DOC["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert said == routes


def test_every_answer_is_as_it_says(client: Client, parts: Parts) -> None:
    seen: set[tuple[str, str, str]] = set()
    for path, rest, method, body, status in CALLS:
        data = as_sent(body, parts)
        answer = client.open(url(path, rest), method=method.upper(), data=data)
        assert answer.status_code == status, (path, method, answer.get_data(as_text=True))
        said = DOC["paths"][path][method]["responses"][str(status)]
        seen.add((path, method, str(status)))
        for mimetype, content in said.get("content", {}).items():
            assert answer.mimetype == mimetype
            text = answer.get_data()
            parts_of_it = text.splitlines() if "ndjson" in mimetype else [text]
            for one in parts_of_it:
                assert check(content["schema"], json.loads(one)), (path, method, one[:500])
        assert said.get("content") or not answer.get_data()
    told = {
        (path, method, status)
        for path, operations in DOC["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
        for status in operation["responses"]
        if status != "403"
    }
    # Their causes are a broken lever, a real viewer, a hundred faults, a record of a gigabyte, a
    # client that stops in mid-request, and many requests that wait; test_control has the last two.
    unseen = {
        *((path, method, status) for path, method, status in told if status == "408"),
        ("/simulator/changes", "get", "409"),
        ("/simulator/faults", "delete", "400"),
        ("/simulator/faults", "post", "409"),
        ("/simulator/heal", "post", "400"),
        ("/simulator/faults/{name}", "delete", "400"),
        ("/simulator/viewers", "post", "200"),
        ("/simulator/viewers/{pid}", "delete", "204"),
        ("/simulator/verdict", "post", "413"),
    }
    assert seen == told - unseen


def test_pages_are_refused_as_it_says(client: Client) -> None:
    for path, operations in DOC["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            answer = client.open(
                url(path, "1" if "{" in path else ""),
                method=method.upper(),
                headers={"Origin": "x"},
            )
            assert answer.status_code == 403
            schema = operation["responses"]["403"]["content"]["application/json"]["schema"]
            assert check(schema, json.loads(answer.get_data()))


@pytest.mark.parametrize(
    ("path", "body"), [(path, body) for path, bodies in BODIES.items() for body in bodies]
)
def test_bodies_are_taken_as_it_says(client: Client, path: str, body: object) -> None:
    operation = DOC["paths"][path]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    answer = client.post(url(path, "cable" if "{" in path else ""), data=json.dumps(body))
    client.delete("/simulator/scenario")
    assert (answer.status_code == 200) == check(schema, body), answer.get_data(as_text=True)


def test_it_names_every_fault_with_its_attributes() -> None:
    said = {
        one["properties"]["type"]["const"]: (one["description"], one["properties"]["attributes"])
        for one in DOC["components"]["schemas"]["FaultRequest"]["oneOf"]
    }
    assert list(said) == [*FAULTS]
    for name, kind in FAULTS.items():
        attributes = {
            one.name: {
                "type": "integer",
                "minimum": one.minimum,
                "maximum": one.maximum,
                "default": one.default,
                "description": one.meaning,
            }
            for one in kind.attributes
        }
        assert said[name] == (
            kind.describe()["meaning"],
            {"type": "object", "properties": attributes, "additionalProperties": False},
        )


def test_a_wrong_method_is_refused_with_those_that_are_allowed(client: Client) -> None:
    for path, operations in DOC["paths"].items():
        answer = client.open(path.replace("{pid}", "1"), method="TRACE")
        assert answer.status_code == 405
        allowed = set(answer.headers["Allow"].split(", "))
        assert {one.upper() for one in operations if one != "parameters"} <= allowed
