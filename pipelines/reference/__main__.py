"""Writes the sources of the site: `python -m pipelines.reference FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from corpus.settings import SettingsError
from pipelines.reference.site import write_site

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m pipelines.reference FOLDER")
    try:
        pages = write_site(Path(sys.argv[1]))
    except SettingsError as error:
        sys.exit(str(error))
    print(f"{len(pages)} pages in {sys.argv[1]}")
