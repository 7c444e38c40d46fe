"""The rules of the house that no linter holds."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tui.render import key_bindings

ROOT = Path(__file__).parents[2]

FORBIDDEN = {
    "wire": ("forwarder", "tui", "simulator", "gapless", "textual", "boto3", "moto", "websockets"),
    "forwarder.main": ("tui", "simulator", "gapless", "textual", "moto"),
    "tui.screen.app": ("forwarder", "simulator", "gapless", "boto3", "moto"),
    "tui.output.plain": ("forwarder", "simulator", "gapless", "textual", "boto3", "moto"),
    "simulator.main": ("forwarder", "tui", "gapless", "textual"),
    "tests.conformance.chapters": ("forwarder", "tui", "simulator", "textual", "boto3", "moto"),
}


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_part_does_not_load_what_it_must_not_know(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert module.partition(".")[0] in loaded
    assert not set(FORBIDDEN[module]) & set(loaded)


def test_every_dependency_has_its_reason_beside_it() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert wanted
    for one in wanted:
        assert re.search(rf'"{re.escape(one)}",\s+# \w', text), f"{one} has no reason beside it"


def test_pins_are_exact_with_hashes_and_without_addresses() -> None:
    text = (ROOT / "requirements" / "all.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9][\w.-]*)==\S+ \\$", text, re.MULTILINE)
    assert "textual" in pins
    assert "hatchling" in pins
    assert "://" not in text
    assert not re.search(r"^[a-z0-9][\w.-]*==[^\s\\]+$", text, re.MULTILINE)


def test_the_pages_have_the_keys_as_they_are() -> None:
    assert key_bindings.markdown() in (ROOT / "docs" / "screen.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "PROTOCOL.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:wire|common|forwarder|tui|simulator|gapless|tests)/[\w./-]*)`", text)
    assert [one for one in named if not (ROOT / one).exists()] == []
    if page in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
        assert len(named) >= 5


@pytest.mark.parametrize(("page", "lines"), [("ARCHITECTURE.md", 400), ("README.md", 250)])
def test_pages_stay_readable_in_one_sitting(page: str, lines: int) -> None:
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) < lines


def anchors_of(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("forwarder/**/*.md")])


@pytest.mark.parametrize("page", [str(one.relative_to(ROOT)) for one in PAGES])
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    for link in links:
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target.read_text(encoding="utf-8")), link
    assert links or page not in ("README.md", "docs/screen.md", "docs/operations.md")
