"""Settings of where the images lie that a set's rows name, and the resolvers that find them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import Field, model_validator

from corpus.settings import Settings
from corpus.workspace import TableKey
from pipelines.sources.images.archives import Archives, ArchivesSettings, ImageResolver
from pipelines.sources.images.parquet import ParquetImages, ParquetImagesSettings
from pipelines.sources.images.pdf import PdfImages, PdfImagesSettings

# Of files in which images may lie: they are not rows, and are looked at where `images` says so.
MEDIA_ENDINGS = (
    *(".tar", ".zip", ".parquet", ".pdf"),
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"),
)


class SetImages(Settings):
    """Settings of where a source of existing pairs has its images."""

    archives: ArchivesSettings | None = Field(
        None, description="Tars, zips and folders, where images are named by files; null for none."
    )
    parquet: ParquetImagesSettings | None = Field(
        None, description="Parquet files with images in columns; null for none."
    )
    pdfs: PdfImagesSettings | None = Field(None, description="PDF files, where images are pages; null for none.")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.archives is None and self.parquet is None and self.pdfs is None:
            raise ValueError("neither archives nor parquet nor pdfs: where are the images?")
        return self

    def resolvers(self, workspace: str, source: str) -> Iterator[ImageResolver]:
        """Opens the resolvers of a source's images, in the order in which they are asked."""
        if self.parquet is not None:
            yield ParquetImages(self.parquet)
        if self.pdfs is not None:
            yield PdfImages(self.pdfs)
        if self.archives is not None:
            yield Archives(self.archives, workspace, TableKey("tables", source, "images-index").folder)
