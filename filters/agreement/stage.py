"""Stage `agreement`, over the pairs of a dataset: how well the text of each pair fits its picture, by a CLIP.

The score is the cosine of the vectors of text and picture (J. Hessel and others, CLIPScore, 2021; S. Gadre and others,
DataComp, 2023). It decides nothing: `filters.agreement.filter` has the thresholds.

A text that is longer than the model reads is scored sentence by sentence, and so is each frame of a clip. A CLIP likes
pictures that show the letters of the text. Letters in a mirror it hardly reads: with `flip` a score is the smaller one
of the picture and of its mirror image (arXiv 2309.15954).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from pydantic import Field

from corpus.image.pixel_budget import MAX_SOURCE_PIXELS
from corpus.pool import PoolRead, PoolScope
from corpus.schema import ITEM_ID, TEXT_IMAGE_SCORE
from corpus.settings import Settings, tuning
from corpus.stage import ITEMS, PAIR_VERDICT, PAIRS, Gives, MapStage, Shard, SourceInfo, SourcePlug
from serving.openclip import ClipModelSettings

AGREEMENT = "agreement"
# A score of each sentence with each frame is reduced in two steps: over the frames, then over the sentences.
SCORES = (
    TEXT_IMAGE_SCORE.name,  # the mean over sentences of the mean over frames
    "lowest_sentence_score",  # the smallest of the sentences' means over frames
    "best_frame_score",  # the mean over sentences of that of the best frame of each
    "lowest_sentence_best_frame_score",  # the smallest of these: of moments of a clip
)
AGREEMENT_SCHEMA = pa.schema(
    [
        *(pa.field(name, TEXT_IMAGE_SCORE.type) for name in SCORES),  # -1 to 1; null: there is none
        pa.field("sentences", pa.int32()),  # that were scored; 1 for a text that the model reads whole
        pa.field("frames", pa.int32()),
        pa.field("unread_share", pa.float32()),  # of the text's tokens: in what no sentence had room for
        pa.field("unscored_reason", pa.string()),  # why there is no score; "" where there is one
        pa.field("agreement_key", ITEM_ID),  # by which the scores are found again; null: there are none
    ]
)


class AgreementSettings(Settings):
    """Settings of the scores of texts with pictures."""

    backend: ClipModelSettings | None = Field(None, description="The CLIP that scores; null scores nothing.")
    datasets: tuple[str, ...] = Field(
        (), description="The datasets whose pairs are scored; none named is all of a text and a picture."
    )
    flip: bool = Field(
        False,
        description="Whether a score is the smaller one of the picture and of its mirror image, in which letters "
        "count for little.",
    )
    video_frames: int = Field(8, ge=1, description="The frames of a clip that are scored, evenly spaced.")
    max_sentences: int = Field(
        32, ge=1, description="The sentences of a long text that are scored; what follows them counts as unread."
    )
    max_source_pixels: int = Field(MAX_SOURCE_PIXELS, ge=1, description="The largest image that is decoded.")
    decode_threads: int = tuning(
        0, ge=0, description="Threads of each worker that decode images; 0 is one for each core, at most 8."
    )

    @property
    def producer(self) -> dict[str, Any]:
        """All that a score depends on besides its text and its pictures."""
        assert self.backend is not None
        return {
            "model": self.backend.model,
            "pretrained": self.backend.pretrained,
            "revision": self.backend.weights_revision,
            "dtype": self.backend.dtype,
            "pixels": self.backend.pixels.canonical(),
            "flip": self.flip,
            "video_frames": self.video_frames,
            "max_sentences": self.max_sentences,
        }

    def scores(self, dataset: str) -> bool:
        """Tells whether the pairs of a dataset are scored."""
        return self.backend is not None and (not self.datasets or dataset in self.datasets)


class Agreement(MapStage):
    """The scores of a dataset's pairs of a text and a picture, or a clip; which of them is the query does not matter.

    Other pairs have none: `no_text_and_picture`. Nothing is removed here.
    """

    name = AGREEMENT
    reads = (PAIRS,)
    pools = (PoolRead(ITEMS, PoolScope.SOURCES, fingerprinted=False),)
    settings_key = AGREEMENT
    settings_type = AgreementSettings
    schema = AGREEMENT_SCHEMA
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    optional_reads = (PAIR_VERDICT,)
    summary = (
        "how well its text fits its picture by a CLIP: mean and minimum over sentences, mean and best frame of a clip, "
        "how much of the text was not read"
    )

    def __init__(self, settings: AgreementSettings) -> None:
        super().__init__(settings)
        assert settings.backend is not None
        self._settings = settings
        self.resources = settings.backend.resources

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        settings: AgreementSettings = cls.settings_of(source)
        return super().applies_to(source) and settings.scores(source.dataset)

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        settings: AgreementSettings = stages.agreement
        if settings.datasets and settings.backend is None:
            yield "stages.agreement.datasets: they are scored by a model: set `backend`"

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {"producer": self._settings.producer, "max_source_pixels": self._settings.max_source_pixels}

    def setup(self) -> Callable[[Shard], pa.Table]:
        from filters.agreement.scores import AgreementWorker

        return AgreementWorker(self._settings)
