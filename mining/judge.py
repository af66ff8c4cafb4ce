"""A model as judge: the probability that a candidate answers a query, asked of a vision-language model.

A judge looks at the candidates that pass all rules, which are the hardest ones and the likeliest to be false negatives.
It answers Yes or No; its score is P(Yes) / (P(Yes) + P(No)) of the first token (UniME-V2, arXiv 2510.13515). What is
made of a score is not decided here: `mining.choose` drops what is probably an answer, and what surely is one becomes a
second positive (RLHN, arXiv 2505.16967).
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, field_validator, model_validator

from corpus.hashing import digest
from corpus.image.pixel_budget import MAX_SOURCE_PIXELS, PixelBudget
from corpus.pool import Pool
from corpus.settings import Settings, tuning
from corpus.stage import Resources
from corpus.storage import Store
from serving.backends import check_vllm, default_budget, model_and_revision, open_vllm_client
from serving.openai.client import OpenAiYesNo
from serving.openai.settings import EndpointSettings
from serving.request import ModelClient, ModelResponse, SamplingSettings, Vector, YesNoRequest
from serving.result_cache import ResultCache
from serving.side_images import ClipFrames, SideImages
from serving.vllm.settings import VllmSettings

JUDGE = "judge"
TOO_MANY_IMAGES = "too_many_images"
DEFAULT_PROMPT = (
    "Task: {instruction}\nQuery: {query}\nCandidate: {candidate}\n"
    "Is the candidate a correct answer to the query? Reply with Yes or No."
)
_FIELDS = ("{query}", "{candidate}")
_PARTS = re.compile(r"(\{instruction\}|\{query\}|\{candidate\})")

JudgeClient = ModelClient[YesNoRequest, Vector]
JudgeBackend = Annotated[VllmSettings | EndpointSettings, Field(discriminator="kind")]


class JudgeSettings(Settings):
    """Settings of the judge of hard negatives: its model, its question, and how many candidates it sees."""

    backend: JudgeBackend | None = Field(None, description="The model that judges; null judges nothing.")
    datasets: tuple[str, ...] = Field(
        (), description="The datasets whose candidates are judged; none named is all whose hard negatives are mined."
    )
    candidates: int = Field(
        8, ge=1, description="The candidates of each pair that are judged: the best of those that pass the rules."
    )
    prompt: str = Field(
        DEFAULT_PROMPT,
        description="The question, with the fields {query}, {candidate} and, if it needs it, {instruction}.",
    )
    video_frames: int = Field(
        4, ge=1, description="The frames of a clip that are shown, and the most images of a side."
    )
    max_pixels: int | None = Field(None, ge=1, description="The most pixels of an image; null takes the model's own.")
    max_source_pixels: int = Field(MAX_SOURCE_PIXELS, ge=1, description="The largest image that is decoded.")
    decode_threads: int = tuning(
        0, ge=0, description="Threads of each worker that decode images; 0 is one for each core, at most 8."
    )
    shards_in_flight: int = tuning(
        2, ge=1, description="Shards of one model at a time: while one is judged, the next is decoded."
    )

    @field_validator("prompt")
    @classmethod
    def _has_fields(cls, prompt: str) -> str:
        for name in _FIELDS:
            if prompt.count(name) != 1:
                raise ValueError(f"{name} must be in it once, it is there {prompt.count(name)} times")
        return prompt

    @model_validator(mode="after")
    def _check_model(self) -> JudgeSettings:
        if isinstance(self.backend, VllmSettings):
            check_vllm(self.backend)
        return self

    @property
    def budget(self) -> PixelBudget:
        """The pixel budget of each image of a question."""
        assert self.backend is not None
        budget = default_budget(self.backend)
        if self.max_pixels is not None:
            budget = budget.model_copy(update={"max_pixels": self.max_pixels})
        return budget.per_image(2)

    @property
    def max_images(self) -> int:
        """The most images of a question: those of two sides."""
        return 2 * self.video_frames

    @property
    def producer(self) -> dict[str, Any]:
        """All that a score depends on besides its question and its images."""
        assert self.backend is not None
        model, revision = model_and_revision(self.backend)
        backend = {name: value for name, value in self.backend.canonical().items() if name not in ("model", "revision")}
        return {
            "backend": backend,
            "model": model,
            "revision": revision,
            "pixels": self.budget.canonical(),
            "video_frames": self.video_frames,
        }

    @property
    def resources(self) -> Resources:
        """What a worker needs."""
        gpus = self.backend.gpus_per_replica if isinstance(self.backend, VllmSettings) else 0.0
        remote = isinstance(self.backend, EndpointSettings)
        return Resources(gpus=gpus, holds_model=True, in_flight=self.shards_in_flight, waits_on_network=remote)


class QuestionSide(NamedTuple):
    """A query or a candidate, as the judge sees it."""

    items: tuple[bytes, ...]  # ids
    text: str
    is_clip: bool


class Question(NamedTuple):
    """Does the candidate answer the query?"""

    instruction: str
    query: QuestionSide
    candidate: QuestionSide


@dataclass(frozen=True)
class Judgements:
    """The answers to questions, in their order."""

    keys: list[bytes]  # by which they are found again
    scores: np.ndarray  # float32[n]; NaN: there is none
    reasons: Counter[str]  # why, of those without a score
    from_cache: int


class Judge:
    """A judge in one worker. Thread-safe. The first question that no table answers opens the model."""

    def __init__(self, settings: JudgeSettings, places: dict[str, dict[str, str]]) -> None:
        """`places`: columns of keys of the stage's tables, and where each has `key` and `score` (`ResultCache`)."""
        self._settings = settings
        self._places = places
        clips = ClipFrames(settings.budget, settings.video_frames)
        self._images = SideImages(settings.budget, settings.max_source_pixels, settings.decode_threads, clips)
        self._lock = threading.Lock()
        self._cache: ResultCache | None = None
        self._client: JudgeClient | None = None

    def answer(self, store: Store, items: Pool, questions: Sequence[Question]) -> Judgements:
        """Answers questions; `items` are the tables that say where items lie. Raises BackendError."""
        keys = [question_key(self._settings.prompt, question) for question in questions]
        scores = np.full(len(keys), np.nan, np.float32)
        found = self._from_cache(store, keys, scores)
        missing = np.setdiff1d(np.arange(len(keys)), found)
        reasons: Counter[str] = Counter()
        # Equal questions are asked once: pairs of one query share candidates.
        first = {keys[place]: place for place in reversed(missing.tolist())}
        pending = sorted(first.values())
        answers = self._ask(store, items, [questions[place] for place in pending])
        computed = {keys[place]: answer for place, answer in zip(pending, answers, strict=True)}
        for place in missing.tolist():
            answer = computed[keys[place]]
            if isinstance(answer, str):
                reasons[answer] += 1
            else:
                scores[place] = answer
        return Judgements(keys, scores, reasons, len(found))

    def close(self) -> None:
        """Stops the model, if it was started."""
        self._images.close()
        if self._client is not None:
            self._client.close()

    def _from_cache(self, store: Store, keys: Sequence[bytes], scores: np.ndarray) -> np.ndarray:
        """Fills in the scores that tables in the workspace have; returns their places."""
        with self._lock:
            if self._cache is None:
                self._cache = ResultCache(store, JUDGE, self._settings.producer, "score", "pairs", self._places)
            self._cache.refresh()
        places, rows = self._cache.find(keys, ["score"])
        if rows is not None:
            scores[places] = rows.column("score").to_numpy()
        return places

    def _ask(self, store: Store, items: Pool, questions: Sequence[Question]) -> Iterator[float | str]:
        """Yields for each question its score, or why there is none."""
        if not questions:
            return
        client = self._opened_client()
        answers: list[Future[ModelResponse[Vector]] | str] = []
        sides = [side for question in questions for side in (question.query, question.candidate)]
        images = self._images.read(store, items, [side.items for side in sides], [side.is_clip for side in sides])
        for question in questions:
            of_query, of_candidate = next(images), next(images)
            reason = self._reason(of_query) or self._reason(of_candidate)
            if reason:
                answers.append(reason)
                continue
            assert isinstance(of_query, tuple) and isinstance(of_candidate, tuple)
            prompt = render_question(self._settings.prompt, question, len(of_query), len(of_candidate))
            answers.append(client.submit(YesNoRequest(prompt, (*of_query, *of_candidate))))
        for answer in answers:
            yield answer if isinstance(answer, str) else _score(answer.result())

    def _reason(self, images: tuple[Any, ...] | str) -> str:
        if isinstance(images, str):
            return images
        return TOO_MANY_IMAGES if len(images) > self._settings.video_frames else ""

    def _opened_client(self) -> JudgeClient:
        with self._lock:
            if self._client is None:
                self._client = open_judge(self._settings)
            return self._client


def open_judge(settings: JudgeSettings) -> JudgeClient:
    """Opens a client of this worker's own. The model is loaded at the first request."""
    backend = settings.backend
    if isinstance(backend, VllmSettings):
        return open_vllm_client(backend, SamplingSettings(), settings.budget, settings.max_images)
    assert backend is not None
    return OpenAiYesNo(backend)


def question_key(prompt: str, question: Question) -> bytes:
    """Returns the hash, of 16 bytes, of all that an answer depends on besides the model."""
    sides = [[b"clip" if side.is_clip else b"", *side.items] for side in (question.query, question.candidate)]
    texts = (prompt, question.instruction, question.query.text, question.candidate.text)
    return digest(*texts, *(b"".join([len(side).to_bytes(4, "big"), *side]) for side in sides))


def render_question(prompt: str, question: Question, query_images: int, candidate_images: int) -> str:
    """Returns the prompt, with each side as its text and the numbers of its images, which stand before the prompt.

    A field's name within a text is no field.
    """
    values = {
        "{instruction}": question.instruction.strip(),
        "{query}": _described(question.query.text, 1, query_images),
        "{candidate}": _described(question.candidate.text, 1 + query_images, candidate_images),
    }
    return "".join(values.get(part, part) for part in _PARTS.split(prompt))


def _described(text: str, first: int, images: int) -> str:
    where = "" if not images else f"[image {first}]" if images == 1 else f"[images {first} to {first + images - 1}]"
    return " ".join(part for part in (where, text.strip()) if part)


def _score(response: ModelResponse[Vector]) -> float | str:
    if response.payload is None:
        return response.error
    return float(response.payload[0])
