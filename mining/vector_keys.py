"""Keys of vectors: hashes of all that a vector depends on, by which one that exists is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

_KEY_BYTES = 16
_KEY_VERSION = b"vector 1"


class VectorKeys:
    """The keys of vectors of one encoder: equal for equal inputs, whatever source or shard they stand in.

    A key is a hash of all that a vector depends on, so that none is used again after a prompt, a revision, a rule of
    positions or a limit has changed.
    """

    def __init__(
        self,
        *,
        encoder: str,
        revision: str,
        positions: str,
        min_pixels: int,
        max_pixels: int,
        dimension: int,
        dtype: str = "float16",
    ) -> None:
        self._state = hashlib.sha256(_KEY_VERSION)
        for part in (encoder, revision, positions, str(min_pixels), str(max_pixels), str(dimension), dtype):
            _add(self._state, part.encode())

    def key(
        self,
        content_ids: Sequence[bytes],
        text: str,
        instruction: str,
        is_clip: bool = False,
        is_mirrored: bool = False,
    ) -> bytes:
        """Returns the key of the vector of some contents (in their order) and a text under an instruction, 16 bytes.

        `is_clip`: the contents are frames of a clip, which the encoder reads in another way than several images.
        `is_mirrored`: the vector is the mean of those of the contents and of their mirror images.
        """
        state = self._state.copy()
        if is_mirrored:
            state.update(b"\xff" * 8 + b"mirrored")
        if is_clip:
            state.update(b"\xff" * 8 + b"clip")  # begins as no length does
        _add(state, instruction.encode())
        _add(state, text.encode())
        for content_id in content_ids:
            _add(state, content_id)
        return state.digest()[:_KEY_BYTES]


def _add(state: Any, part: bytes) -> None:
    state.update(len(part).to_bytes(8, "little"))  # so that ("ab", "c") is not ("a", "bc")
    state.update(part)
