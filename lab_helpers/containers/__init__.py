"""The only room that talks to the Docker engine: containers, and what the kernel knows of them."""

from lab_helpers.containers.base_image import BUSYBOX, PYTHON
from lab_helpers.containers.container import Container, ContainerStartError, get, list_containers, run
from lab_helpers.containers.engine import EngineUnavailableError, client
from lab_helpers.containers.kernel_view import KernelView, Layer

__all__ = [
    "BUSYBOX",
    "PYTHON",
    "Container",
    "ContainerStartError",
    "EngineUnavailableError",
    "KernelView",
    "Layer",
    "client",
    "get",
    "list_containers",
    "run",
]
