"""Encoder `torchscript`: a network of images in one TorchScript file, such as SSCD's descriptors of copies.

The file is called with float32[n, 3, side, side], red, green and blue from 0 to 1, less `mean` and over `std`, and
gives a vector of each image. Of a clip's frames the vector is the mean of their normalised vectors. SSCD: E. Pizzi and
others, A Self-Supervised Descriptor for Image Copy Detection, CVPR 2022; its authors take a cosine of 0.75 or more for
a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from corpus.settings import SettingsError
from mining.encoders.base import NO_CONTENT, EmbedClient, Encoder
from mining.encoders.local_model import MIXED, LocalEncoderSettings
from serving.batching import BatchClient
from serving.models import revision_of
from serving.request import BackendError, EmbedRequest, Pixels, VectorResponse

TEXTS_NOT_READ = "texts_not_read"  # a side of text, of a network of images

Channels = tuple[float, float, float]


class TorchScriptSettings(LocalEncoderSettings):
    """Settings of a network of images in a TorchScript file."""

    summary: ClassVar[str] = "a network of images in a TorchScript file, such as SSCD; compares images with images"
    packages: ClassVar[str] = "open-clip"

    kind: Literal["torchscript"] = Field(description="A network of images in a TorchScript file.")
    path: str = Field(min_length=1, description="The local file, as torch.jit.save writes it.")
    side_px: int = Field(288, ge=1, description="Both sides of the images that the network is given.")
    resize: Literal["stretch", "crop"] = Field(
        "stretch",
        description="How images come to that size: stretched, or scaled by their shorter side and cropped to the "
        "centre.",
    )
    mean: Channels = Field((0.485, 0.456, 0.406), description="What is subtracted from red, green and blue (0 to 1).")
    std: Channels = Field((0.229, 0.224, 0.225), description="By what red, green and blue are divided then.")
    revision: str = Field("", description="What vectors record as the revision; empty takes a digest of the file.")
    video_frames: int = Field(8, ge=1, description="The frames of a clip whose vectors are averaged.")

    @property
    def one_space(self) -> bool:
        return False

    def encoder(self) -> Encoder:
        if not Path(self.path).is_file():
            raise SettingsError(f"encoder {self.kind}: {self.path}: no such file")
        return Encoder(
            self.kind,
            model="",
            revision=revision_of(self.path, self.revision),
            dimension=self.dimension,
            open=partial(_open_client, self),
            budget=self.pixels,
            video_frames=self.video_frames,
            settings={
                "side_px": self.side_px,
                "resize": self.resize,
                "mean": list(self.mean),
                "std": list(self.std),
                "dtype": self.dtype,
            },
            reads_instructions=False,
            resources=self.resources,
        )


def _open_client(settings: TorchScriptSettings) -> EmbedClient:
    """Loads the network. Raises BackendError where the file holds none, or it does not fit the settings."""
    return BatchClient(TorchScriptModel(settings).vectors, settings.batch_size)


class TorchScriptModel:
    """A loaded network, which computes the vectors of several sides at once."""

    def __init__(self, settings: TorchScriptSettings) -> None:
        self._device = settings.torch_device()
        self._settings = settings
        self._network = _load(settings, self._device)
        side = settings.side_px
        settings.check_dimension(settings.path, self._image_vectors([np.zeros((side, side, 3), np.uint8)]).shape[1])

    def vectors(self, requests: Sequence[EmbedRequest]) -> list[VectorResponse]:
        """Returns the responses to requests, in their order."""
        responses = [VectorResponse(error=_refusal(each)) for each in requests]
        accepted = [place for place, each in enumerate(responses) if not each.error]
        if not accepted:
            return responses
        images = self._image_vectors([image for place in accepted for image in requests[place].images])
        images /= np.maximum(np.linalg.norm(images, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        last = np.cumsum([len(requests[place].images) for place in accepted]).tolist()
        for place, end in zip(accepted, last, strict=True):
            responses[place] = VectorResponse(images[end - len(requests[place].images) : end].mean(axis=0))
        return responses

    def _image_vectors(self, images: Sequence[Pixels]) -> np.ndarray:
        """Returns float32[n, dimension]."""
        import torch

        settings, parts = self._settings, []
        dtype = getattr(torch, settings.dtype)
        for start in range(0, len(images), settings.batch_size):
            pixels = np.stack([_prepared(each, settings) for each in images[start : start + settings.batch_size]])
            with torch.inference_mode():
                found = self._network(torch.from_numpy(pixels).to(self._device, dtype))
            if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(pixels):
                raise BackendError(f"model {settings.path}: it returns no vector for each image")
            parts.append(found.float().cpu().numpy())
        return np.concatenate(parts)


def _refusal(request: EmbedRequest) -> str:
    """Returns why the network does not read a side; "" where it does."""
    if not request.images:
        return TEXTS_NOT_READ if request.prompt else NO_CONTENT
    return MIXED if request.prompt else ""


def _prepared(image: Pixels, settings: TorchScriptSettings) -> np.ndarray:
    """Returns an image as the network reads it, float32[3, side, side]. Pillow resizes, as torchvision's transforms of
    images do: bilinear, every pixel counted.
    """
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    side = settings.side_px
    if settings.resize == "crop":
        width, height = (side * length // min(picture.size) for length in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        x, y = round((width - side) / 2), round((height - side) / 2)
        picture = picture.crop((x, y, x + side, y + side))
    else:
        picture = picture.resize((side, side), Image.Resampling.BILINEAR)
    levels = np.asarray(picture, np.float32) / np.float32(255)
    mean, std = (np.asarray(channels, np.float32) for channels in (settings.mean, settings.std))
    return np.ascontiguousarray(((levels - mean) / std).transpose(2, 0, 1))


def _load(settings: TorchScriptSettings, device: str) -> Any:
    import torch

    try:
        network = torch.jit.load(settings.path, map_location=device)
    except (OSError, ValueError, RuntimeError) as error:
        raise BackendError(f"model {settings.path}: cannot be loaded: {error}") from error
    return network.to(getattr(torch, settings.dtype)).eval()
