"""Reports of rehearsals: one HTML page, Markdown, JSON, SVG, and JUnit XML for CI. Pure.

Everything that comes from outside is escaped: names and texts of scenario files, and log lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

from common.text import replace_unprintable
from common.times import iso
from gapless.rehearsal.picture import draw
from gapless.rehearsal.result import RehearsalResult, as_json, used
from gapless.rehearsal.summary import (
    COLUMNS,
    COLUMNS_EXPLAINED,
    NONE,
    action_text,
    seconds,
    story,
    table_rows,
    verdict_line,
)

Results = Sequence[RehearsalResult]


def json_report(results: Results) -> str:
    """Return everything that is known, with the course of each run."""
    return json.dumps([as_json(one, with_course=True) for one in results], indent=1) + "\n"


def svg_report(results: Results) -> str:
    """Return the picture of the first run."""
    return draw(results[0])


def markdown_report(results: Results) -> str:
    """Return a text to attach to a ticket."""
    passed = sum(one.ok for one in results)
    head = f"# gapless scenarios: {passed} of {len(results)} clean\n"
    return "\n".join([head, *(_markdown_section(one) for one in results)])


def html_report(results: Results) -> str:
    """Return a page that needs no other file and loads nothing."""
    passed = sum(one.ok for one in results)
    title = f"gapless scenarios: {passed} of {len(results)} pass"
    links = "".join(
        f'<li class="{_mark(one)}"><a href="#run-{number}">{_html(one.scenario)}, seed {one.seed}'
        f"</a> {_html(verdict_line(one))}</li>"
        for number, one in enumerate(results)
    )
    index = f"<ul>{links}</ul>" if len(results) > 1 else ""
    sections = "".join(_html_section(number, one) for number, one in enumerate(results))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>{_html(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{_html(title)}</h1>{index}{sections}</body></html>\n"
    )


def junit_report(results: Results) -> str:
    """Return JUnit XML: a test case for each run, whose failure has the reasons."""
    failed = sum(not one.ok and not one.error for one in results)
    errors = sum(bool(one.error) for one in results)
    took_s = sum(one.total_ms for one in results) / 1_000
    cases = "".join(map(_junit_case, results))
    counts = f'tests="{len(results)}" failures="{failed}" errors="{errors}" time="{took_s:.3f}"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="gapless" {counts}>\n'
        f'<testsuite name="gapless scenarios" {counts}>\n{cases}'
        "</testsuite></testsuites>\n"
    )


FORMATS: Final[Mapping[str, Callable[[Results], str]]] = {
    ".html": html_report,
    ".md": markdown_report,
    ".json": json_report,
    ".svg": svg_report,
}
"""The reports by the end of the file's name."""


# Markdown


def _markdown_section(one: RehearsalResult) -> str:
    lines = [f"## {_text(one.scenario)}, seed {one.seed}: {'clean' if one.ok else 'FAILED'}\n"]
    lines += [_text(sentence) for sentence in (verdict_line(one), *story(one))]
    if one.reactions:
        lines += ["", _row(COLUMNS), _row(["---"] * len(COLUMNS))]
        lines += [_row(row) for row in table_rows(one.reactions)]
    lines += ["", _row(["", ""]), _row(["---", "---"])]
    lines += [_row(row) for row in _facts(one)]
    for kind, examples in _examples(one):
        lines += [f"\n{kind}:\n", *(f"    {replace_unprintable(example)}" for example in examples)]
    lines += ["\nThe last marks that the viewer found equal:\n"]
    lines += [f"    {text}" for text in _marks(one)]
    lines += ["\nSteps, in ms from the start:\n"]
    lines += [f"    {text}" for text in _steps(one)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_text(one).replace('|', chr(92) + '|') for one in cells)} |"


def _text(text: str) -> str:
    """A text outside of code, in which nothing begins an HTML tag."""
    text = replace_unprintable(text)
    return text if text.startswith("`") else text.replace("<", "\\<")


def _facts(one: RehearsalResult) -> list[tuple[str, str]]:
    rows = {
        "version": one.version,
        "replay": f"`{one.replay}`",
        "error": one.error,
        "expectations not met": "; ".join(one.unmet),
        "while faults were on": f"{', '.join(one.unsafe) or 'clean'} in {one.looks} verdicts",
        "converged": "no" if one.converged_ms is None else f"{one.converged_ms} ms after healing",
        "bound": f"{one.bound_ms} ms after the end",
        "time": f"ready {one.ready_ms} ms, scenario {one.scenario_ms} ms, all {one.total_ms} ms",
        "used": used(one),
        "processes started": f"forwarder {one.forwarder_lives}, viewer {one.viewer_lives}",
        "fault log": f"{one.log_dropped:,} older entries are missing" if one.log_dropped else "",
        "started": "" if one.course is None else iso(one.course.started_ms),
    }
    counts = {name: str(one.verdict[name]) for name in one.verdict if name != "examples"}
    return [(name, value) for name, value in rows.items() if value] + list(counts.items())


def _examples(one: RehearsalResult) -> Iterator[tuple[str, list[str]]]:
    yield from one.verdict.get("examples", {}).items()
    for kind, examples in one.unsafe_examples.items():
        yield f"{kind} after {one.unsafe_ms} ms", examples


def _marks(one: RehearsalResult) -> list[str]:
    return [f"through {mark.through} count {mark.count} digest {mark.digest}" for mark in one.marks]


def _steps(one: RehearsalResult) -> list[str]:
    return [f"{step['at_ms']:>7}  {replace_unprintable(action_text(step))}" for step in one.steps]


# HTML

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1f2328;--page:#fff;--soft:#f6f8fa;--line:#d0d7de}
:root{--muted:#57606a;--good:#13795b;--bad:#b42318;--link:#0969da}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--page:#0d1117;--soft:#161b22;--line:#30363d}
:root{--muted:#9198a1;--good:#3fb98f;--bad:#ff7b72;--link:#58a6ff}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page)}
body{overflow-wrap:anywhere;max-width:1360px;margin:2em auto;padding:0 1em}
svg{max-width:100%;height:auto;border:1px solid var(--line);border-radius:6px;background:#fff}
.wide{overflow-x:auto}.wide table{overflow-wrap:break-word}
table{border-collapse:collapse;margin:1em 0;font-size:13px}
th,td{border:1px solid var(--line);padding:.25em .6em;text-align:left;vertical-align:top}
th{background:var(--soft)}td.n{text-align:right;white-space:nowrap}
.pass{color:var(--good)}.fail{color:var(--bad)}
code,pre{font:13px/1.45 ui-monospace,monospace;background:var(--soft)}
pre{padding:.8em;overflow:auto}
.note{color:var(--muted);font-size:13px}h2{margin-top:2em}a{color:var(--link)}
@media print{:root{--ink:#000;--page:#fff;--soft:#f6f8fa;--line:#999;--muted:#444}
:root{--good:#13795b;--bad:#b42318;--link:#000}
svg,tr{break-inside:avoid}section+section{break-before:page}body{margin:0;max-width:none}}
"""

_NUMBER: Final = ' class="n"'
_NUMBERS: Final = frozenset(
    {"on from", "until", "affected", "detected", "reconnected", "verified again"}
    | {"recovered", "repaired", "late", "worst lag"}
)


def _html_section(number: int, one: RehearsalResult) -> str:
    doc = f"<p>{_html(one.doc)}</p>" if one.doc else ""
    verdict = f'<span class="{_mark(one)}">{"PASS" if one.ok else "FAIL"}</span>'
    title = f"{_html(one.scenario)}, seed {one.seed}: {verdict}"
    parts = [
        f'<section id="run-{number}"><h2>{title}</h2>{doc}',
        draw(one, f"run-{number}"),
        f"<p>Run it again: <code>{_html(one.replay)}</code></p>",
    ]
    if one.reactions:
        head = "".join(f'<th scope="col">{_html(name)}</th>' for name in COLUMNS)
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td{_NUMBER if name in _NUMBERS else ''}>{_html(cell)}</td>"
                for name, cell in zip(COLUMNS, row, strict=True)
            )
            + "</tr>"
            for row in table_rows(one.reactions)
        )
        parts.append(
            '<h3>What the viewer did about each fault</h3><div class="wide"><table>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
            f'<p class="note">{_html(COLUMNS_EXPLAINED)}</p>'
        )
    facts = "".join(
        f'<tr><th scope="row">{_html(name)}</th><td>{_html(value.strip("`"))}</td></tr>'
        for name, value in _facts(one)
    )
    parts.append(f"<details><summary>All figures</summary><table>{facts}</table></details>")
    lists = [*_examples(one), ("Last equal marks", _marks(one)), ("Steps, in ms", _steps(one))]
    parts += [
        f"<details><summary>{_html(name)}</summary><pre>{_html(chr(10).join(lines))}</pre></details>"
        for name, lines in lists
        if lines
    ]
    return "".join([*parts, "</section>"])


def _mark(one: RehearsalResult) -> str:
    return "pass" if one.ok else "fail"


def _html(text: str) -> str:
    return escape("\n".join(map(replace_unprintable, text.split("\n"))))


# JUnit


def _junit_case(one: RehearsalResult) -> str:
    name = f"{one.scenario} seed {one.seed}" + (f" ({one.file})" if one.file else "")
    opening = (
        f'<testcase classname="gapless.scenario" name="{_html(name)}" '
        f'time="{one.total_ms / 1_000:.3f}">'
    )
    told = [verdict_line(one), *story(one), f"again: {one.replay}"]
    for reaction in one.reactions:
        again = NONE if reaction.verified_ms is None else seconds(reaction.verified_ms)
        told.append(f"{reaction.name}: verified again after {again}")
    output = f"<system-out>{_html(chr(10).join(told))}</system-out>"
    if one.ok:
        return f"{opening}{output}</testcase>\n"
    kind = "error" if one.error else "failure"
    text = _html(
        "\n".join(f"{name}: {example}" for name, ones in _examples(one) for example in ones)
    )
    problem = f'<{kind} type="{kind}" message="{_html(verdict_line(one))}">{text}</{kind}>'
    return f"{opening}{problem}{output}</testcase>\n"
