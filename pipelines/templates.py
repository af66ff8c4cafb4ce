"""Copies a commented settings file for the user to start from."""

from __future__ import annotations

from pathlib import Path

CONFIGS = Path(__file__).parents[1] / "configs"  # beside the packages, in a checkout and in an installed wheel

_FILES = {
    "laion": "laion.yaml",
    "stage1": "rzenembed-stage1.yaml",
    "stage2": "rzenembed-stage2.yaml",
    "pairs": "pairs.yaml",
    "documents": "documents.yaml",
    "videos": "videos.yaml",
}


def write_template(name: str, folder: Path) -> Path:
    """Writes the file of a template to `folder`; returns its path. Raises FileExistsError where it exists."""
    path = folder / _FILES[name]
    content = (CONFIGS / _FILES[name]).read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(content)
    return path
