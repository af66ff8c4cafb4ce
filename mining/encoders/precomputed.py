"""Encoder `precomputed`: vectors that exist already, in files with an id for each (`mining.vector_files`)."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import Future
from functools import partial
from typing import Literal

from pydantic import Field

from corpus.settings import SettingsError
from mining.encoders.base import EmbedClient, Encoder, EncoderSettings, NamedRequest
from mining.sides import NamedBy
from mining.vector_files import VectorLookup, find_vector_files, open_vector_file
from serving.request import BackendError, EmbedRequest, ModelResponse, Vector

NO_NAME = "no_name"  # a side without a name of the kind by which vectors are found
NOT_PRECOMPUTED = "not_precomputed"  # a side whose vector is in no file


class PrecomputedSettings(EncoderSettings):
    """Settings of vectors that are read from files."""

    summary = "vectors that exist already, in .npy or Parquet files with an id for each"

    kind: Literal["precomputed"] = Field(description="Vectors that exist already.")
    files: tuple[str, ...] = Field(
        min_length=1,
        description="Paths, globs or URLs of .parquet and .npy files; NAME.npy has its ids in NAME.ids.txt.",
    )
    named_by: NamedBy = Field(
        "item",
        description="What the ids are: of the side's only item, of the side, or the URL of the row that gave the image "
        "or clip; those of items and sides are 32 hexadecimal digits.",
    )
    id_column: str = Field("id", min_length=1, description="The column of ids of Parquet files.")
    vector_column: str = Field("vector", min_length=1, description="The column of vectors of Parquet files.")
    revision: str = Field(
        "", description="What vectors record as the revision; empty takes names, sizes and versions of the files."
    )
    compares_modalities: bool = Field(True, description="Whether vectors of texts and images are of one space.")

    @property
    def one_space(self) -> bool:
        return self.compares_modalities

    def encoder(self) -> Encoder:
        files = find_vector_files(self.files)
        identity = json.dumps([file.identity for file in files]).encode()
        return Encoder(
            self.kind,
            model="",
            revision=self.revision or hashlib.sha256(identity).hexdigest()[:16],
            dimension=open_vector_file(files[0], self.id_column, self.vector_column).dimension,
            open=partial(open_precomputed, self),
            settings={"named_by": self.named_by},
            reads_instructions=False,
            named_by=self.named_by,
        )


def open_precomputed(settings: PrecomputedSettings) -> EmbedClient:
    """Reads the ids of all files. Raises BackendError where their vectors don't fit together."""
    try:
        files = [
            open_vector_file(file, settings.id_column, settings.vector_column)
            for file in find_vector_files(settings.files)
        ]
        for file in files:
            if file.dimension != files[0].dimension:
                raise file.fault(f"vectors of {file.dimension} numbers; those of other files have {files[0].dimension}")
        return PrecomputedClient(VectorLookup(files))
    except SettingsError as error:
        raise BackendError(str(error)) from error


class PrecomputedClient:
    """A `ModelClient` that finds vectors at once, on the calling thread."""

    def __init__(self, vectors: VectorLookup) -> None:
        self._vectors = vectors

    def submit(self, request: EmbedRequest) -> Future[ModelResponse[Vector]]:
        """Finds the vector of a side; `no_name` for one without a name, `not_precomputed` for one that no file has."""
        names = request.names if isinstance(request, NamedRequest) else ()
        found = next((vector for name in names if (vector := self._vectors.find(name)) is not None), None)
        answer: Future[ModelResponse[Vector]] = Future()
        if found is None:
            answer.set_result(ModelResponse(error=NOT_PRECOMPUTED if names else NO_NAME))
        else:
            answer.set_result(ModelResponse(found))
        return answer

    def close(self) -> None:
        """Does nothing: no file is held open."""
