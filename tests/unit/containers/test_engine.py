"""The engine's errors in our words, and its findings when it is not there."""

from __future__ import annotations

import pytest
import requests

from lab_helpers.containers import engine
from lab_helpers.containers.engine import EngineRefusedError, EngineUnavailableError, in_our_words


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/docker.sock")


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_the_error_names_the_socket_and_the_command_that_starts_it() -> None:
    with pytest.raises(EngineUnavailableError) as caught:
        engine.client()
    assert "unix:///no/such/docker.sock" in caught.value.message
    assert "environment/provision.sh" in caught.value.next_step
    assert caught.value.__cause__ is not None


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("probe", engine.PROBES)
def test_without_an_engine_each_finding_is_blocking_and_has_the_fix(probe: engine.Probe) -> None:
    finding = probe()
    assert (finding.state, finding.fix) == ("blocking", "environment/provision.sh")


def test_a_refusal_keeps_the_status_and_the_engines_words() -> None:
    import docker.errors  # noqa: PLC0415

    response = requests.Response()
    response.status_code = 409
    with pytest.raises(EngineRefusedError, match="name is taken") as caught, in_our_words():
        raise docker.errors.APIError("conflict", response=response, explanation="name is taken")
    assert caught.value.status_code == 409


def test_a_lost_connection_is_an_engine_that_is_gone() -> None:
    with pytest.raises(EngineUnavailableError), in_our_words():
        raise requests.exceptions.ConnectionError("reset by peer")
