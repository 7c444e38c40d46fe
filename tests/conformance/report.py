"""What came of the rules, as a table and as JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.conformance.rules import Verdict


def as_object(url: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """For other programs."""
    return {
        "url": url,
        "conforms": not any(one.state == "FAILED" for one in verdicts),
        "counts": dict(Counter(one.state for one in verdicts)),
        "rules": [
            {
                "id": one.rule.id,
                "chapter": one.rule.chapter,
                "rule": one.rule.says,
                "numbers": list(one.rule.number),
                "state": one.state,
                "failures": [
                    {"expected": failure.expected, "got": failure.got} for failure in one.failures
                ],
                "why": one.why or None,
            }
            for one in verdicts
        ],
    }


def as_text(verdicts: Sequence[Verdict]) -> str:
    """For a person: rule by rule, and below a rule why it failed or did not show."""
    width = max((len(one.rule.id) for one in verdicts), default=0)
    lines: list[str] = []
    chapter = ""
    for one in verdicts:
        if one.rule.chapter != chapter:
            chapter = one.rule.chapter
            lines += ["", chapter.upper()] if lines else [chapter.upper()]
        numbers = "".join(f" [{number}]" for number in one.rule.number)
        lines.append(f"{one.state:9}  {one.rule.id:{width}}  {one.rule.says}{numbers}")
        lines += [f"{'':11}expected {of.expected}; got {of.got}" for of in one.failures]
        if one.state == "not shown":
            lines.append(f"{'':11}{one.why}")
    counts = Counter(one.state for one in verdicts)
    total = f"{counts['ok']} ok, {counts['FAILED']} FAILED, {counts['not shown']} not shown"
    return "\n".join([*lines, "", total])
