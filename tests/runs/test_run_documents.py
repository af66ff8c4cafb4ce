"""Whole runs over sets whose pairs name documents, and what of a set's own scores and marks is published."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from typer.testing import CliRunner

from corpus.settings import load_settings, parse_settings
from pipelines.cli import app
from pipelines.config import Config
from pipelines.graph import build_graph
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.runner import RunResult, run
from pipelines.status import workspace_status
from tests.helpers.film_runs import samples
from tests.helpers.noise_images import noise_jpeg

CONFIGS = Path(__file__).parents[2] / "configs"
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "knoll", "larch", "mossy")


def done(home: Path, **parts: Any) -> tuple[RunResult, Config]:
    data = {"workspace": str(home / "workspace"), "engine": {"kind": "local", "workers": 1}, **parts}
    config = parse_settings(data, Config)
    result = run(config, Selection(), Console(quiet=True))
    assert result.failed == []
    return result, config


def mixture(home: Path, **datasets: Any) -> dict[str, Any]:
    return {"one": {"corpus": str(home / "corpus"), "pairs_per_shard": 10, "batch_size": 4, "datasets": datasets}}


def lines(path: Path, records: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_mbeir_from_its_files_to_a_corpus(tmp_path: Path) -> None:
    """Twelve news captions and their images, with one hard negative each; one more names an image that nobody has."""
    home = tmp_path / "m-beir"
    pool, queries = [], []
    for at, word in enumerate(WORDS):
        path = f"mbeir_images/visualnews_images/{at}.jpg"
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(noise_jpeg(at))
        pool.append({"did": f"0:{at}", "txt": None, "img_path": path, "modality": "image", "src_content": None})
        text = f"People gather near the {word} bridge in the {WORDS[at - 1]} valley"
        wrong = [f"0:{(at + 1) % 12}", "0:98"]
        named = {"query_modality": "text", "pos_cand_list": [f"0:{at}"], "neg_cand_list": wrong}
        queries.append({"qid": f"0:{at}", "query_txt": text, "query_img_path": None, **named})
    queries.append({**queries[0], "qid": "0:50", "query_txt": "A query whose image is gone", "pos_cand_list": ["0:99"]})
    lines(home / "cand_pool/global/mbeir_union_train_cand_pool.jsonl", pool)
    lines(home / "query/train/mbeir_visualnews_task0_train.jsonl", queries)
    result, config = done(
        tmp_path,
        sources={
            "news": {
                "kind": "mbeir",
                "folder": str(home),
                "subsets": ["visualnews_task0"],
                "images": {"archives": {"paths": [str(home)]}},
            }
        },
        datasets={
            "news": {
                "kind": "existing_pairs",
                "source": "news",
                "task": "image_retrieval",
                "stage": 2,
                "use_source_instruction": True,
            }
        },
        mixtures=mixture(tmp_path, news={"negatives": 1}),
    )
    assert verify(result.corpora["one"]).faults == []
    found = samples(tmp_path / "corpus", "news")
    assert len(found) == 12
    for sample in found:
        query = sample["json"]["query"]
        at = WORDS.index(query["text"].split()[4])
        assert query["instruction"] == "Identify the news-related image in line with the described event. "
        assert (sample["positive.jpg"], sample["negative_0.jpg"]) == (noise_jpeg(at), noise_jpeg((at + 1) % 12))
        assert sample["json"]["negatives"][0]["origin"] == "given"
    funnel = workspace_status(config).funnels["news"]
    assert funnel == {"rows_in": 13, "kept": 12, "removed": {"filtered": {"missing_document": 1}}}


def test_tevatron_from_its_files_to_a_corpus(tmp_path: Path) -> None:
    """Pages lie in the corpus's Parquet; the queries' file is called like it."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pages = pa.array([{"bytes": noise_jpeg(at), "path": None} for at in range(12)], image)
    asked = {
        "query_id": [str(at) for at in range(12)],
        "query_text": [
            f"What does the {word} table say about the {WORDS[at - 1]} year?" for at, word in enumerate(WORDS)
        ],
        "query_image": pa.nulls(12, image),
        "positive_document_ids": [[f"p{at}"] for at in range(12)],
        "negative_document_ids": [[f"p{(at + 1) % 12}", "gone"] for at in range(12)],
    }
    for name, columns in (("queries", asked), ("documents", {"docid": [f"p{at}" for at in range(12)], "image": pages})):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table(columns), tmp_path / name / "train-00000-of-00001.parquet")
    corpus = [str(tmp_path / "documents")]
    source = {"kind": "tevatron", "files": [str(tmp_path / "queries")], "corpus": corpus, "image_filter": "decodable"}
    result, _ = done(
        tmp_path,
        sources={"pages": {**source, "images": {"parquet": {"paths": corpus}}}},
        datasets={"pages": {"kind": "existing_pairs", "source": "pages", "task": "document_retrieval"}},
        mixtures=mixture(tmp_path, pages={"negatives": 1}),
    )
    assert verify(result.corpora["one"]).faults == []
    found = samples(tmp_path / "corpus", "pages")
    for sample in found:
        at = WORDS.index(sample["json"]["query"]["text"].split()[3])
        assert (sample["positive.jpg"], sample["negative_0.jpg"]) == (noise_jpeg(at), noise_jpeg((at + 1) % 12))
    assert len(found) == 12


def test_scores_and_the_mark_of_a_set_are_published(tmp_path: Path) -> None:
    """FlagEmbedding's form: what the set says of positives and negatives is in the samples, also after cleaning."""
    rows = [
        {
            "query": f"Where does the {word} river end, and who lives there?",
            "pos": [f"The {word} river ends in the sea of {WORDS[at - 1]} and herons live there."],
            "neg": ["&nbsp;", f"Nobody knows the {word} hill.", f"The {word} road &amp; its inns are closed."],
            "pos_scores": [0.5 + at / 100],
            "neg_scores": [0.9, 0.25, 0.125],
            "type": "symmetric_class" if at % 2 else "normal",
        }
        for at, word in enumerate(WORDS)
    ]
    lines(tmp_path / "rows.jsonl", rows)
    source = {"kind": "text_pairs", "format": {"kind": "flagembedding"}, "files": [str(tmp_path / "rows.jsonl")]}
    result, _ = done(
        tmp_path,
        sources={"texts": source},
        datasets={"texts": {"kind": "existing_pairs", "source": "texts", "task": "text_retrieval"}},
        mixtures=mixture(tmp_path, texts={"negatives": 3}),
    )
    assert verify(result.corpora["one"]).faults == []
    found = samples(tmp_path / "corpus", "texts")
    assert len(found) == 12
    for sample in (each["json"] for each in found):
        at = WORDS.index(sample["query"]["text"].split()[3])
        assert sample["positive_score"] == round(0.5 + at / 100, 2)
        assert sample["in_batch_negatives"] is (at % 2 == 0)
        said = [(negative["origin"], negative["score"]) for negative in sample["negatives"]]
        assert said == [("given", 0.25), ("given", 0.125), ("random", 0.0)]
        assert sample["negatives"][1]["text"] == f"The {WORDS[at]} road & its inns are closed."


def test_names_that_several_archives_have_are_counted_and_shown(tmp_path: Path) -> None:
    """`6.jpg` to `11.jpg` are in both archives, with nothing beside the names to tell which is meant."""
    for archive, first in (("one", 0), ("two", 6)):
        with zipfile.ZipFile(tmp_path / f"{archive}.zip", "w") as file:
            for at in range(first, first + 6 if first else 12):
                file.writestr(f"{at}.jpg", noise_jpeg(at + 50 * first))
    rows = [{"q": f"A photograph of the {word} house by the road", "p": f"{at}.jpg"} for at, word in enumerate(WORDS)]
    lines(tmp_path / "rows.jsonl", rows)
    archives = [str(tmp_path / f"{name}.zip") for name in ("one", "two")]
    data = {
        "workspace": str(tmp_path / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": {
            "ours": {
                "kind": "jsonl",
                "files": [str(tmp_path / "rows.jsonl")],
                "query": {"text": "q"},
                "positive": {"images": "p"},
                "images": {"archives": {"paths": archives}},
            }
        },
        "datasets": {"ours": {"kind": "existing_pairs", "source": "ours", "task": "image_retrieval"}},
        "mixtures": mixture(tmp_path, ours={}),
    }
    config = parse_settings(data, Config)
    assert run(config, Selection(), Console(quiet=True)).failed == []
    state = workspace_status(config)
    assert state.funnels["ours"]["not_read"] == {"images": {"duplicate_name": 6}}
    assert state.notices == [
        "ours: 6 names of images are in several archives, and the first archive's is taken: "
        "6.jpg, 7.jpg, 8.jpg, 9.jpg, 10.jpg and 1 more"
    ]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(data))
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "config.yaml")])
    assert shown.exit_code == 0
    assert "images: duplicate_name" in shown.output and "6 names of images are in several archives" in shown.output
    manifest = json.loads((tmp_path / "corpus/manifest.json").read_text())
    assert manifest["funnel"]["ours"]["not_read"] == {"images": {"duplicate_name": 6}}
    assert "| images | duplicate_name | 6 |" in (tmp_path / "corpus/README.md").read_text().replace("`", "")


def test_the_settings_file_for_sets_with_documents_lays_out() -> None:
    config = load_settings(CONFIGS / "documents.yaml", Config)
    assert build_graph(config)
    kinds = {source.kind for source in config.sources.values()}  # type: ignore[union-attr]
    assert kinds == {"mbeir", "tevatron", "parquet"}
    assert set(config.mixtures["retrieval"].datasets) == set(config.datasets)
