"""The Docker engine: one client, its errors in our words, its findings for the preflight."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab_helpers.base.errors import LabError
from lab_helpers.base.preflight import Finding, Probe
from lab_helpers.containers.base_image import BASE_IMAGES

TIMEOUT_S = 60
"""An engine that does not answer a call for this long is taken for dead."""


class EngineUnavailableError(LabError):
    """The Docker engine does not answer."""


class EngineRefusedError(LabError):
    """The Docker engine answered with an error; ``status_code`` is HTTP's."""

    status_code: int | None = None


_client: Any = None
_client_of: tuple[int, str] | None = None


def address() -> str:
    """Return where the engine listens: DOCKER_HOST, or Docker's own socket."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def _unavailable(error: BaseException) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"the Docker engine at {address()} does not answer",
        reference="no-docker-engine",
        why=f"dockerd is not running, or its socket may not be opened: {error}",
        next_step="run `./lab doctor`, then `environment/provision.sh`, which starts dockerd; re-run this cell",
    )


def client() -> Any:  # noqa: ANN401 - docker.DockerClient; the SDK is imported when first used (80 ms)
    """Return the docker SDK's client for this process.

    Raises:
        EngineUnavailableError: nothing answers at DOCKER_HOST.
    """
    global _client, _client_of  # noqa: PLW0603 - one connection pool a process
    import docker  # noqa: PLC0415 - 80 ms that `import lab_helpers` must not cost
    import docker.errors  # noqa: PLC0415

    key = (os.getpid(), address())
    if _client is None or _client_of != key:
        try:
            _client = docker.DockerClient(base_url=address(), timeout=TIMEOUT_S, version="auto")
        except (docker.errors.DockerException, OSError) as error:
            raise _unavailable(error) from error
        _client_of = key
    return _client


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turn the SDK's errors inside the block into ours, chained.

    Raises:
        EngineUnavailableError: the engine is gone.
        EngineRefusedError: it answered with an error.
    """
    import docker.errors  # noqa: PLC0415 - see client()
    import requests.exceptions  # noqa: PLC0415

    try:
        yield
    except docker.errors.APIError as error:
        refused = EngineRefusedError(
            f"the Docker engine refused: {error.explanation or error}",
            reference="engine-refused",
            why=f"it answered with HTTP status {error.status_code}",
            next_step="correct what it says and run the cell again",
        )
        refused.status_code = error.status_code
        raise refused from error
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout, docker.errors.DockerException) as error:
        raise _unavailable(error) from error


FIX = "environment/provision.sh"


def engine() -> Finding:
    """Look whether the engine answers, which version it is, and its cgroup driver."""
    try:
        with in_our_words():
            info = client().info()
    except EngineUnavailableError as error:
        return Finding("Docker engine", "blocking", error.message, "containers are made by it", fix=FIX)
    return Finding(
        "Docker engine",
        "ok",
        f"Docker {info['ServerVersion']}, cgroup driver {info['CgroupDriver']}",
        "containers are made by it",
    )


def storage_driver() -> Finding:
    """Look at the engine's storage driver: notebook 04 takes overlay2's layers apart."""
    try:
        with in_our_words():
            info = client().info()
    except EngineUnavailableError as error:
        return Finding("storage driver", "blocking", error.message, "layers are shown from it", fix=FIX)
    driver = info["Driver"]
    overlay = driver in ("overlay2", "overlayfs")
    return Finding(
        "storage driver",
        "ok" if overlay else "warning",
        str(driver),
        "layers are overlay mounts; another driver stores them differently",
        notebooks="00, 04, 05, 06",
        fix="" if overlay else 'put {"storage-driver": "overlay2"} into /etc/docker/daemon.json and restart dockerd',
    )


def base_images() -> Finding:
    """Look whether the base images are loaded."""
    try:
        with in_our_words():
            tags = {tag for image in client().images.list() for tag in image.tags}
    except EngineUnavailableError as error:
        return Finding("base images", "blocking", error.message, "every lab starts from them", fix=FIX)
    missing = [name for name in BASE_IMAGES if name not in tags]
    return Finding(
        "base images",
        "blocking" if missing else "ok",
        f"missing: {', '.join(missing)}" if missing else ", ".join(BASE_IMAGES),
        "built from Debian packages, so that no registry is needed",
        fix=FIX if missing else "",
    )


PROBES: tuple[Probe, ...] = (engine, storage_driver, base_images)
