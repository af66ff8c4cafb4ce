"""Builds the demo's sets whose pairs name documents by id: captions in M-BEIR's form, questions in Tevatron's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo.images.image_factory import ImageFactory
from demo.pairs.builders import write_files, write_lines, write_rows
from demo.pairs.truth import ExpectedSet, Pair, SetSide

_NEWS = "Identify the news-related image in line with the described event. "


def plant_mbeir(folder: Path, painter: ImageFactory) -> ExpectedSet:
    """Builds captions and a pool of pictures. Pairs whose id is missing or ambiguous in the pool are removed."""
    planted = ExpectedSet()
    names = [f"mbeir_images/visualnews_images/{number}.jpg" for number in range(12)]
    files = {name: painter.image(name) for name in names}
    pool = [
        {"did": f"0:{number}", "txt": None, "img_path": name, "modality": "image"} for number, name in enumerate(names)
    ]
    pool += [{**pool[3], "did": "0:50"}, {**pool[4], "did": "0:50"}]
    pool.append({"did": "9:0", "txt": painter.caption(), "img_path": "", "modality": "text"})  # of another set
    queries: list[dict[str, Any] | str] = []

    def query(text: str, right: str, wrong: list[str]) -> None:
        named = {"query_modality": "text", "pos_cand_list": [right], "neg_cand_list": wrong}
        queries.append({"qid": f"0:{len(queries)}", "query_txt": text, "query_img_path": None, **named})

    for number, name in enumerate(names):
        text, other = f"In the news: {painter.caption()}.", (number + 5) % 12
        query(text, f"0:{number}", ["0:99", "0:50", f"0:{other}"])
        planted.keep(Pair(SetSide(text), SetSide("", name), (SetSide("", names[other]),), instruction=_NEWS))
    for right, reason in (("0:99", "missing_document"), ("0:50", "ambiguous_document")):
        query(f"In the news: {painter.caption()}.", right, [])
        planted.remove(reason)
    query("", "0:0", [])
    planted.remove("no_query")
    write_files(folder, files)
    write_lines(folder / "cand_pool/global/mbeir_union_train_cand_pool.jsonl", pool)
    write_lines(folder / "query/train/mbeir_visualnews_task0_train.jsonl", queries)
    return planted


def plant_tevatron(folder: Path, caption: Callable[[], str]) -> ExpectedSet:
    """Builds questions, and a corpus of the passages that answer them."""
    planted = ExpectedSet()
    passages = [f"One of the halls shows {caption()}; the next one, {caption()}." for _ in range(12)]
    queries: list[tuple[str, str, list[str], list[str]]] = []
    for number, passage in enumerate(passages):
        text, other = f"Which hall shows {caption()}, and what is next to it?", (number + 7) % 12
        queries.append((f"q{number}", text, [f"d{number}"], ["gone", f"d{other}", f"d{number}"]))
        planted.keep(Pair(SetSide(text), SetSide(passage), (SetSide(passages[other]),)))
    queries += [("q12", caption(), ["gone"], []), ("q13", caption(), [], ["d1"]), ("q14", caption(), ["d12"], [])]
    for reason in ("missing_document", "no_positive", "empty_document"):
        planted.remove(reason)
    columns = ("query_id", "query_text", "positive_document_ids", "negative_document_ids")
    write_rows(folder / "queries" / "train-00000-of-00001.parquet", columns, queries)
    documents = [(f"d{number}", text) for number, text in enumerate([*passages, ""])]
    write_rows(folder / "corpus" / "train-00000-of-00001.parquet", ("docid", "text"), documents)
    return planted
