"""An encoder that counts what it is sent: the descriptor, under a revision and an instruction that tests set."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from typing import Literal

from mining.encoders.base import Encoder
from mining.encoders.descriptor import DescriptorClient, DescriptorSettings
from mining.settings import EmbedSettings
from serving.request import EmbedRequest, VectorResponse

SENT: list[EmbedRequest] = []  # since `sent` was called last


class CountingClient(DescriptorClient):
    """Describes a side, its instruction included, and notes the request."""

    def submit(self, request: EmbedRequest) -> Future[VectorResponse]:
        SENT.append(request)
        return super().submit(replace(request, prompt=request.text))


class CountingSettings(DescriptorSettings):
    """Settings of the counting encoder."""

    kind: Literal["descriptor"] = "descriptor"
    revision: str = "1"
    video_frames: int = 0

    def encoder(self) -> Encoder:
        return replace(
            super().encoder(),
            revision=self.revision,
            open=CountingClient,
            reads_instructions=True,
            video_frames=self.video_frames,
        )


def counted(revision: str = "1", video_frames: int = 0, **settings: object) -> EmbedSettings:
    """Settings of `embed` with the counting encoder."""
    return EmbedSettings(encoder=CountingSettings(revision=revision, video_frames=video_frames), **settings)


def sent() -> list[tuple[str, str, int]]:
    """Text, instruction and number of images of what was sent since the last call, in order of these."""
    found = sorted((request.prompt, request.instruction, len(request.images)) for request in SENT)
    SENT.clear()
    return found
