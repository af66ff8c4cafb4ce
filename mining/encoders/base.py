"""Base of the kinds of encoders: settings, which are the plug, and what stages must know of an encoder.

    class MySettings(EncoderSettings):
        summary = "what the table in docs/mining.md says of it"
        kind: Literal["mine"]

        def encoder(self) -> Encoder:
            return Encoder(self.kind, model=..., revision=..., dimension=..., open=partial(MyClient, self))

Then it is named in `mining.encoders.ENCODERS`, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field

from corpus.image.pixel_budget import PixelBudget
from corpus.settings import Settings
from corpus.stage import Resources
from mining.sides import NamedBy
from mining.vector_keys import VectorKeys
from serving.request import EmbedRequest, ModelClient, Vector
from serving.side_images import ClipFrames

EmbedClient = ModelClient[EmbedRequest, Vector]

NO_CONTENT = "no_content"  # a side without anything that the encoder reads
NO_IMAGES = "images_not_read"  # a side with images, for an encoder of texts


@dataclass(frozen=True, slots=True)
class NamedRequest(EmbedRequest):
    """A request for the vector of a side by its names; the first that has one is taken."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoder:
    """An encoder as stages know it before it runs, and the function that opens it.

    Its clients get the text and the instruction of a side apart (`serving.request.EmbedRequest`), and its images at
    the sizes of `budget`. They respond with a vector of `dimension` numbers of any scale, or with a reason.
    """

    kind: str
    model: str
    revision: str  # of the model; another one where the same side gets another vector
    dimension: int
    open: Callable[[], EmbedClient]
    budget: PixelBudget = field(default_factory=PixelBudget)  # the sizes at which it sees images
    positions: str = ""  # how it numbers the positions of images' tokens, where it may do so in several ways
    max_tokens: int = 0  # a side of more gets no vector but `too_long`; 0: any length
    frame_budget: PixelBudget | None = None  # the sizes at which it sees frames of a clip; None: those of `budget`
    video_frames: int = 0  # of a clip of more frames so many are given, evenly spaced; 0: all
    settings: Mapping[str, Any] = field(default_factory=dict)  # what else its vectors depend on: template, pooling ...
    reads_images: bool = True  # False: a side with images gets no vector but `images_not_read`
    reads_instructions: bool = True
    named_by: NamedBy | None = None  # of vectors that exist already: by what these are found, instead of computed
    resources: Resources = field(default_factory=Resources)  # of one worker

    @property
    def clip_frames(self) -> ClipFrames:
        """The frames of a clip that it is given, and their sizes."""
        return ClipFrames(self.frame_budget or self.budget, self.video_frames)

    @property
    def distinguishes_clips(self) -> bool:
        """Whether it reads frames of a clip in another way than several images."""
        return self.clip_frames.count > 0 or self.clip_frames.budget != self.budget

    @property
    def producer(self) -> dict[str, Any]:
        """All that its vectors depend on besides their sides: what fingerprints and keys have of the encoder."""
        return {
            "encoder": self.kind,
            "model": self.model,
            "revision": self.revision,
            "dimension": self.dimension,
            "pixels": self.budget.canonical(),
            "frame_pixels": self.clip_frames.budget.canonical(),
            "positions": self.positions,
            "max_tokens": self.max_tokens,
            "video_frames": self.video_frames,
            **self.settings,
        }

    @property
    def keys(self) -> VectorKeys:
        """The keys by which its vectors are found again."""
        return VectorKeys(
            encoder=json.dumps(self.producer, sort_keys=True),
            revision=self.revision,
            positions=self.positions,
            min_pixels=self.budget.min_pixels,
            max_pixels=self.budget.max_pixels,
            dimension=self.dimension,
        )


class EncoderSettings(Settings):
    """The settings of an encoder of any kind. A subclass has a field `kind`, a Literal of its name."""

    summary: ClassVar[str]  # for the table in docs/mining.md

    kind: str = Field(description="The kind of encoder.")

    @property
    def one_space(self) -> bool:
        """Whether texts and images are compared; else images with images only, and texts with texts."""
        return True

    def encoder(self) -> Encoder:
        """Returns the encoder. Called where a run is planned, too: it loads no model. Raises SettingsError."""
        raise NotImplementedError
