"""Folders of a user's that have the names of this package's."""

from __future__ import annotations

from pathlib import Path

import rzen_corpus


def in_the_way(folder: Path) -> Path:
    """A folder with a package of each name of ours, which raises when it is imported."""
    for name in (*rzen_corpus.PACKAGES, "configs"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise SystemExit('the wrong {name}')")
    return folder
