"""What lies in the tars of a published dataset."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path


def members(dataset: Path) -> Iterator[tuple[str, str, str, bytes]]:
    """(tar, key, field, bytes) of every member of a dataset's tars, in their order."""
    for path in sorted(dataset.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, field = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                yield path.name, key, field, file.read()
