"""The names of the base images that set-up builds from Debian packages; no registry is needed for them."""

BUSYBOX = "lab/busybox:1"
"""Static busybox, all its commands: 2 MB, starts fastest."""

PYTHON = "lab/python:1"
"""A slim Debian with Python 3, bash and GNU coreutils."""

BASE_IMAGES = (BUSYBOX, PYTHON)
