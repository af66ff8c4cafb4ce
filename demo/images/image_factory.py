"""Makes the pictures and sentences of the demo's sets."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from demo.images.drawing import BgrPixels, distances, encode, is_clear, perceptual_bits, scaled
from demo.images.scenes import DrawnScene, draw_marks, random_scene
from demo.images.world import FAR, NEAR

_SMALL = 0.5  # size of a picture that takes little room
_OTHER_LIGHT = 0.1  # standard deviation of the logarithm of brightness, from patch to patch
_NO_DUPLICATE = 8  # bits of 64 between perceptual hashes


class ImageFactory:
    """The factory of pictures and sentences, from one stream of random numbers. It records the names of its files."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 5])
        self._known_bits = np.zeros((0, 128), np.bool_)
        self._captions: set[str] = set()
        self.images: dict[str, str] = {}  # SHA-256 of a file -> its name
        self.pages: dict[str, str] = {}  # name -> 128 bits of what it looks like

    def scene(self) -> DrawnScene:
        """Returns a scene with a new caption."""
        while (scene := random_scene(self._rng)).caption in self._captions:
            pass
        self._captions.add(scene.caption)
        return scene

    def caption(self) -> str:
        """Returns a new sentence."""
        return self.scene().caption

    def picture(self) -> tuple[BgrPixels, str]:
        """Returns a clear picture that differs from all earlier ones, and its caption."""
        while True:
            scene = self.scene()
            if self._is_new(pixels := draw_marks(scene, self._rng).pixels):
                return pixels, scene.caption

    def small_picture_of(self, scene: DrawnScene) -> BgrPixels:
        """Returns a clear picture of a scene that differs from all earlier ones."""
        while not self._is_new(pixels := scaled(draw_marks(scene, self._rng).pixels, _SMALL)):
            pass
        return pixels

    def relit(self, pixels: BgrPixels) -> BgrPixels:
        """Returns a picture in a slightly other light: looked at, the same; by its perceptual hash, no duplicate."""
        height, width = pixels.shape[:2]
        bits = perceptual_bits(pixels)
        while True:
            patches = np.exp(self._rng.normal(0, _OTHER_LIGHT, size=(5, 6))).astype(np.float32)
            light = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
            other = (pixels * light[:, :, None]).clip(0, 255).astype(np.uint8)
            if distances(perceptual_bits(other), bits)[0] >= _NO_DUPLICATE and is_clear(other):
                return other

    def image(self, name: str) -> bytes:
        """Returns the file of a new picture, and records its name."""
        return self.file(name, self.picture()[0])

    def file(self, name: str, pixels: BgrPixels, quality: int = 80) -> bytes:
        """Returns the file of a picture, and records its name."""
        data = encode(pixels, quality=quality)
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

    def page(self, name: str) -> tuple[BgrPixels, str]:
        """Returns a picture and its caption, and records its appearance: rendering a PDF encodes the page anew."""
        pixels, caption = self.picture()
        self.pages[name] = "".join("01"[bit] for bit in perceptual_bits(pixels).astype(int))
        return pixels, caption

    def _is_new(self, pixels: BgrPixels) -> bool:
        """Returns whether a picture is clear and no earlier one is similar; if so, records it."""
        bits = perceptual_bits(pixels)
        if not is_clear(pixels) or (len(self._known_bits) and min(distances(self._known_bits, bits)) <= FAR):
            return False
        self._known_bits = np.vstack([self._known_bits, bits])
        return True
