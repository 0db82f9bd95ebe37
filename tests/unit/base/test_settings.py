"""The LAB_ variables: their defaults, and a clear error for what makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab_helpers.base import settings


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAB_HOME", "LAB_SOLVE", "LAB_TARGET", "LAB_TIME_SCALE", "LAB_BIND"):
        monkeypatch.delenv(name, raising=False)


def test_defaults() -> None:
    assert settings.home() == Path("/var/lib/lab")
    assert settings.bind() == "127.0.0.1"
    assert settings.solve() is False
    assert settings.target() == "local"
    assert settings.time_scale() == pytest.approx(0.1)


def test_places_follow_lab_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    places = [settings.cache(), settings.state(), settings.log(), settings.scratch()]
    assert places == [tmp_path / name for name in ("cache", "state", "log", "scratch")]


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAB_HOME", "LAB_SOLVE", "LAB_TARGET", "LAB_TIME_SCALE", "LAB_BIND"):
        monkeypatch.setenv(name, "")
    test_defaults()


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("LAB_SOLVE", "yes", settings.solve),
        ("LAB_TARGET", "azure", settings.target),
        ("LAB_TIME_SCALE", "fast", settings.time_scale),
        ("LAB_TIME_SCALE", "-1", settings.time_scale),
        ("LAB_TIME_SCALE", "11", settings.time_scale),
        ("LAB_TIME_SCALE", "nan", settings.time_scale),
    ],
)
def test_nonsense_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, read: Callable[[], object]) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(settings.SettingError) as caught:
        read()
    assert caught.value.message == f"{name} is {value!r}"
    assert f"unset {name}" in caught.value.next_step


def test_the_project_is_the_checkout() -> None:
    assert (settings.PROJECT / "lab_helpers/base/settings.py").is_file()


def test_every_variable_is_documented_in_one_place() -> None:
    written = set()
    for path in (settings.PROJECT / "lab_helpers").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        written |= {
            name for name in ("LAB_HOME", "LAB_SOLVE", "LAB_TARGET", "LAB_TIME_SCALE", "LAB_BIND") if name in text
        }
    assert written
    assert all(f"| {name} " in (settings.__doc__ or "") for name in written)
