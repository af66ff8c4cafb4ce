"""The commands for published corpora, which need no settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from pipelines.command_line import EXIT_FAILED, JsonOption, guarded, print_json, with_bar

Corpus = Annotated[str, typer.Argument(help="folder or URL of a published corpus")]


def verify_command(
    corpus: Corpus,
    reader: Annotated[
        str, typer.Option("--reader", help="builtin, or webdataset: the library that trainers use (extra `webdataset`)")
    ] = "builtin",
    fast: Annotated[
        bool, typer.Option("--fast", help="of each mp4 only the first frame is decoded: damage behind it is not found")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Reads every tar of a corpus again and compares it with its manifest; every image and every frame
    of an mp4 decodes.
    """

    def work(console: Any) -> int:
        from dataclasses import asdict

        from corpus.settings import SettingsError
        from pipelines.publish.tar_check import Reader
        from pipelines.publish.verify import Verified
        from pipelines.publish.verify import verify as check
        from pipelines.report.terminal import print_line

        if reader not in list(Reader):
            raise SettingsError(f"--reader {reader}: there are {', '.join(Reader)}")
        if as_json:
            found = check(corpus, reader=Reader(reader), fast=fast)
            print_json({"corpus": corpus, "sound": not found.faults, **asdict(found)})
            return EXIT_FAILED if found.faults else 0

        def read_again(progress: Callable[[int, int], None]) -> Verified:
            return check(corpus, reader=Reader(reader), fast=fast, progress=progress)

        found = with_bar(console, "verify", read_again)
        for fault in found.faults:
            print_line(console, fault)
        if found.faults:
            advice = (
                "what is removed of a corpus, `rzen-corpus run` with its settings writes again; or push a sound copy"
            )
            print_line(console, advice)
        verdict = f"{len(found.faults)} faults" if found.faults else "sound"
        print_line(console, f"{corpus}: {verdict}; read {found.summary()}")
        return EXIT_FAILED if found.faults else 0

    guarded(work)


def push_command(
    corpus: Corpus,
    target: Annotated[str, typer.Argument(help="where to: a folder, s3://..., gs://..., hf://datasets/...")],
) -> None:
    """Copies a corpus to another folder or bucket and verifies it there. The same command goes on after an end."""

    def work(console: Any) -> int:
        from pipelines.publish.push import push
        from pipelines.report.terminal import print_line

        pushed = with_bar(console, "push", partial(push, corpus, target))
        there = f", {pushed.present:,} of them there already" if pushed.present else ""
        print_line(console, f"{pushed.path}: {pushed.files:,} files, {pushed.bytes:,} bytes{there}; all read again")
        return 0

    guarded(work, again=f"rzen-corpus push {corpus} {target}")


def export_table_command(
    corpus: Corpus,
    out: Annotated[str, typer.Argument(help="the Parquet file to write: a path or a URL")],
) -> None:
    """Writes a corpus as one Parquet file, a row for each sample with its images, for who trains from Parquet."""

    def work(console: Any) -> int:
        from pipelines.publish.parquet_export import export_table
        from pipelines.report.terminal import print_line

        written = with_bar(console, "export", partial(export_table, corpus, out))
        print_line(console, f"{written.path}: {written.rows:,} rows, {written.bytes:,} bytes")
        return 0

    guarded(work)
