"""A corpus as its users read it: through the library webdataset, which is an extra."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np

from corpus.image.decode import Pixels
from corpus.image.stock_reader import UndecodableError, decoder_errors, in_words


def require_webdataset() -> None:
    """Raise ImportError, with what to do, where the library is not installed."""
    if importlib.util.find_spec("webdataset") is None:
        raise ImportError("the reader webdataset is an extra: pip install 'rzen-corpus[webdataset]'")


def webdataset_samples(file: Any, url: str) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The samples of a tar: the key, and (field, bytes) of each member. EOFError for what the library can't read."""
    import webdataset as wds

    members = wds.tariterators.tar_file_expander([{"url": url, "stream": file}])
    try:
        for sample in wds.tariterators.group_by_keys(members):
            yield sample["__key__"], [(name, data) for name, data in sample.items() if not name.startswith("__")]
    except Exception as error:
        words = next((str(part) for part in error.args if isinstance(part, str)), "")  # others are streams and URLs
        raise EOFError(f"{type(error).__name__}: {words}") from error


def webdataset_picture(content: bytes) -> Pixels:
    """RGB pixels (height, width, 3) as `.decode("pil")` gives them. Raises UndecodableError with Pillow's words."""
    import webdataset as wds

    with decoder_errors():
        try:
            [sample] = wds.decode("pil")([{"__key__": "", "jpg": content}])
        except wds.autodecode.DecodingError as error:
            raise UndecodableError(
                in_words(error.__cause__ if isinstance(error.__cause__, Exception) else error)
            ) from error
        return np.asarray(sample["jpg"])
