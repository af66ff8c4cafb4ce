"""Base of the kinds of sources: settings, which describe a kind to all others, and the reader of its rows.

    class MySource(SourceSettings):            # or `pair_source.PairDatasetSource`, of a set of pairs
        gives = Gives.IMAGES
        summary = "what the table in docs/sources.md says of it"
        kind: Literal["mine"]

        def reader(self) -> Source:
            return MyReader(self)

Then it is named in `pipelines.sources.SOURCES`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, get_args

import pyarrow as pa
from pydantic import Field

from corpus.schema import Modality
from corpus.settings import Settings
from corpus.stage import Gives


class Source(Protocol):
    """Reads the rows of a source. `counts` has how many were read and left out, by reason, once `shards` has ended.

    What else a source has to report goes into `notes`, if it has that: malformed records into `bad_records`, and the
    files and values that were not read under `pipelines.sources.not_read.NOT_READ`.

    A source whose rows belong together, in one shard or in several that follow each other, says so in a column
    `home_shard` (int32): the number of the shard in which the first of them is.
    """

    counts: dict[str, int]

    def identity(self) -> dict[str, Any]:
        """Returns all that the rows depend on: settings, and the names, sizes and versions of the
        files that are read.
        """
        ...

    def check(self) -> None:
        """Checks the files without reading their rows. Raises SettingsError for what `shards` would raise on them."""
        ...

    def shards(self) -> Iterator[pa.Table]:
        """Reads the rows, a shard at a time; columns `url`, `text`, `licence` and further ones of the source."""
        ...


class SourceSettings(Settings):
    """The settings of a source of any kind. A subclass has a field `kind`, a Literal of its names."""

    gives: ClassVar[Gives]
    summary: ClassVar[str]  # for the table in docs/sources.md
    in_place: ClassVar[bool] = False  # its rows tell where the images lie: nothing is downloaded

    kind: str = Field(description="The kind of source.")
    licence: str = Field("", description="The licence of rows that name none.")

    def reader(self) -> Source:
        """Opens the reader of the source's rows."""
        raise NotImplementedError

    @property
    def modality(self) -> Modality:
        """The modality of the pairs that are made of the source."""
        return Modality.CLIP if self.gives == Gives.CLIPS else Modality.IMAGE

    @property
    def has_images(self) -> bool:
        """Tells whether stages over images apply: to the source's items, or to those that its pairs name."""
        return self.gives == Gives.IMAGES

    @property
    def has_labels(self) -> bool:
        """Tells whether the source's pairs may have labels."""
        return False

    @property
    def filters_images(self) -> bool:
        """Tells whether the source's images are filtered by quality and deduplicated."""
        return True

    def conflicts(self, stages: Any) -> Iterator[str]:
        """Lists `key: what is wrong` for each setting of the source that conflicts with those of the stages."""
        return iter(())

    @classmethod
    def kinds(cls) -> tuple[str, ...]:
        """Returns the values of `kind`."""
        return get_args(cls.model_fields["kind"].annotation)
