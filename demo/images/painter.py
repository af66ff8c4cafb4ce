"""What makes the pictures and sentences of the demo's sets, and knows them again."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from demo.images.drawing import Pixels, distances, encode, is_clear, looks, scaled
from demo.images.scenes import Scene, draw, invent
from demo.images.world import FAR, NEAR


class Painter:
    """Makes pictures and sentences, from one stream of random numbers; remembers what they are called."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 5])
        self._seen = np.zeros((0, 128), np.bool_)
        self._captions: set[str] = set()
        self.images: dict[str, str] = {}  # SHA-256 of a file -> its name
        self.pages: dict[str, str] = {}  # name -> 128 bits of what it looks like

    def scene(self) -> Scene:
        """One whose caption nobody had before."""
        while (scene := invent(self._rng)).caption in self._captions:
            pass
        self._captions.add(scene.caption)
        return scene

    def caption(self) -> str:
        """A sentence that nobody had before."""
        return self.scene().caption

    def picture(self) -> tuple[Pixels, str]:
        """A clear one unlike all before it, and its caption."""
        while True:
            picture = draw(scene := self.scene(), self._rng)
            bits = looks(picture.pixels)
            if is_clear(picture.pixels) and (not len(self._seen) or min(distances(self._seen, bits)) > FAR):
                self._seen = np.vstack([self._seen, bits])
                return picture.pixels, scene.caption

    def image(self, name: str) -> bytes:
        """The file of a new picture that is called so."""
        data = encode(self.picture()[0], quality=80)
        self.images[hashlib.sha256(data).hexdigest()] = name
        return data

    def twins(self, name: str) -> tuple[bytes, bytes]:
        """The file of a new picture, and a smaller one that shows the same, however it is decoded."""
        while True:
            pixels, _ = self.picture()
            files = encode(pixels), encode(scaled(pixels, 0.8), quality=70)
            flags = (cv2.IMREAD_COLOR, cv2.IMREAD_REDUCED_COLOR_2)
            seen = [cv2.imdecode(np.frombuffer(data, np.uint8), flag) for data in files for flag in flags]
            bits = [looks(pixels) for pixels in seen if pixels is not None]
            if all(max(distances(each, bits[0])) <= NEAR for each in bits):
                self.images[hashlib.sha256(files[0]).hexdigest()] = name
                return files

    def page(self, name: str) -> tuple[Pixels, str]:
        """As `picture`; known again by its looks, as whoever renders it encodes it anew."""
        pixels, caption = self.picture()
        self.pages[name] = "".join("01"[bit] for bit in looks(pixels).astype(int))
        return pixels, caption
