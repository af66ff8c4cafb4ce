"""Makes the pictures and sentences of the demo's sets."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from demo.images.drawing import Pixels, distances, encode, is_clear, perceptual_bits, scaled
from demo.images.scenes import Scene, draw, random_scene
from demo.images.world import FAR, NEAR


class ImageFactory:
    """The factory of pictures and sentences, from one stream of random numbers. It records the names of its files."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 5])
        self._known_bits = np.zeros((0, 128), np.bool_)
        self._captions: set[str] = set()
        self.images: dict[str, str] = {}  # SHA-256 of a file -> its name
        self.pages: dict[str, str] = {}  # name -> 128 bits of what it looks like

    def scene(self) -> Scene:
        """Returns a scene with a new caption."""
        while (scene := random_scene(self._rng)).caption in self._captions:
            pass
        self._captions.add(scene.caption)
        return scene

    def caption(self) -> str:
        """Returns a new sentence."""
        return self.scene().caption

    def picture(self) -> tuple[Pixels, str]:
        """Returns a clear picture that differs from all earlier ones, and its caption."""
        while True:
            picture = draw(scene := self.scene(), self._rng)
            bits = perceptual_bits(picture.pixels)
            if is_clear(picture.pixels) and (not len(self._known_bits) or min(distances(self._known_bits, bits)) > FAR):
                self._known_bits = np.vstack([self._known_bits, bits])
                return picture.pixels, scene.caption

    def image(self, name: str) -> bytes:
        """Returns the file of a new picture, and records its name."""
        data = encode(self.picture()[0], quality=80)
        self.images[hashlib.sha256(data).hexdigest()] = name
        return data

    def twins(self, name: str) -> tuple[bytes, bytes]:
        """Returns the file of a new picture, and a smaller duplicate of it, similar at every decoding scale."""
        while True:
            pixels, _ = self.picture()
            files = encode(pixels), encode(scaled(pixels, 0.8), quality=70)
            flags = (cv2.IMREAD_COLOR, cv2.IMREAD_REDUCED_COLOR_2)
            decodings = [cv2.imdecode(np.frombuffer(data, np.uint8), flag) for data in files for flag in flags]
            bits = [perceptual_bits(pixels) for pixels in decodings if pixels is not None]
            if all(max(distances(each, bits[0])) <= NEAR for each in bits):
                self.images[hashlib.sha256(files[0]).hexdigest()] = name
                return files

    def page(self, name: str) -> tuple[Pixels, str]:
        """Returns a picture and its caption, and records its appearance: rendering a PDF encodes the page anew."""
        pixels, caption = self.picture()
        self.pages[name] = "".join("01"[bit] for bit in perceptual_bits(pixels).astype(int))
        return pixels, caption
