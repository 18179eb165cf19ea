"""The script that runs tests under compute-sanitizer, with a sanitizer that only looks on."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from tests import sanitize


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name that notes its arguments and exits as it was told."""
    program = tmp_path / "compute-sanitizer"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/seen\nexit $(cat {tmp_path}/code)\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "code").write_text("0")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sanitize", *arguments])
    return sanitize.main()


def test_each_tool_runs_the_gpu_s_tests(
    tool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch) == 0
    seen = (tool / "seen").read_text().splitlines()
    assert [line.split()[1] for line in seen] == list(sanitize.TOOLS)
    assert all("-m pytest -q -m gpu" in line for line in seen)
    assert ["--report-api-errors no" in line for line in seen] == [True, False, False]
    assert capsys.readouterr().out.count("nothing found") == 3


@pytest.mark.parametrize(("code", "words"), [(86, "see above"), (5, "no tests"), (1, "failed")])
def test_what_is_found_is_the_exit_status(
    tool: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
    words: str,
) -> None:
    (tool / "code").write_text(str(code))
    assert run(monkeypatch, "--tool", "racecheck", "tests/one.py") == code
    assert (tool / "seen").read_text().strip().endswith("tests/one.py")
    assert words in capsys.readouterr().out


def test_without_a_sanitizer_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sanitize, "PLACES", ())
    assert run(monkeypatch) == 2
    assert "install the CUDA toolkit" in capsys.readouterr().out


def test_the_tests_that_it_names_are_there() -> None:
    root = Path(sanitize.__file__).parent.parent
    for each in sanitize.TESTS:
        path, _, name = each.partition("::")
        assert f"def {name or 'test_'}" in (root / path).read_text()
