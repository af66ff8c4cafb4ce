"""Importing Beam without its warnings about packages that a run does not need.

When it is imported, Beam warns of each optional package for its own file formats and clouds that is absent or not
whole: once in the driver, and again in each process that a runner starts. Nothing here reads or writes by Beam's own
means, so these say nothing to a user, unless the runner or its options are of such a cloud.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_LOGGERS = ("", "apache_beam.io.filesystems")  # the root logger, and the one of Beam's file systems
_MESSAGES = ("not found", "Failed to import")


def needs_cloud_packages(runner: str, options: Sequence[str]) -> bool:
    """Tells whether a run may need the packages that Beam warns of: on Google's runner, or with files at a URL."""
    return "dataflow" in runner.lower() or any("://" in option for option in options)


@contextmanager
def without_package_warnings() -> Iterator[None]:
    """Drops what Beam's readers and writers of files log while they are imported about packages."""
    root = logging.getLogger()
    silent = None if root.handlers else logging.NullHandler()  # without a handler, `logging.warning` would add one
    if silent:
        root.addHandler(silent)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_no_package_warning)
    try:
        yield
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(_is_no_package_warning)
        if silent:
            root.removeHandler(silent)


def _is_no_package_warning(record: logging.LogRecord) -> bool:
    of_beam = "/apache_beam/io/" in record.pathname.replace("\\", "/")
    return not (of_beam and record.levelno == logging.WARNING and any(map(record.getMessage().__contains__, _MESSAGES)))
