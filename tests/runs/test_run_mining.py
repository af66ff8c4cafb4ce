"""Texts and pictures through a whole run with mined negatives: what is near is chosen, what answers too is not."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from corpus.settings import SettingsError, parse_settings
from corpus.storage import Store
from pipelines.cli import app
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.report.contact_sheet import GAP_PX, ROW_PX, TEXT_PX, THUMBNAIL_PX, WIDTH_PX
from pipelines.report.terminal import Terminal
from pipelines.runner import run
from pipelines.search import search_positives
from pipelines.search_sheet import write_sheet
from pipelines.status import plan_run
from tests.helpers.extras import engine_or_skip
from tests.helpers.film_runs import samples
from tests.helpers.mining_worlds import COLOURS, scene
from tests.helpers.terminals import in_pseudo_terminal, kitty_picture
from tests.helpers.whole_runs import call, command, digests, merged

RIVERS = ("Tarn", "Lot", "Cher", "Indre", "Aude", "Gers")
PLACES = (30, 40, 50, 60)


def write_set(folder: Path) -> None:
    """Questions about rivers, two of each; and pictures with a caption, of which two grounds have four each."""
    (folder / "images").mkdir(parents=True)
    texts = []
    for number, river in enumerate(RIVERS):
        passage = f"The river {river} rises in the hills of the south and is {100 + 37 * number} miles long."
        texts += [{"query": f"where does the river {river} rise", "pos": [passage], "neg": []}]
        texts += [{"query": f"how long is the {river}", "pos": [passage], "neg": ["A lake is no river."]}]
    texts += [{"query": f"where does the river {RIVERS[0]} rise", "pos": ["In the hills of the south."], "neg": []}]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    captions = []
    for colour, shape in (("red", "square"), ("blue", "diamond")):
        for place in PLACES:
            name = f"{colour}-{place}.png"
            (folder / "images" / name).write_bytes(scene(colour, place, shape))
            captions.append({"image": name, "caption": f"a {shape} at {place} on {colour}"})
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in captions))


def settings(home: Path, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    data = {
        "workspace": str(home / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": {
            "rivers": {
                "kind": "text_pairs",
                "files": [str(home / "set/texts.jsonl")],
                "format": {"kind": "flagembedding"},
                "shard_rows": 5,
            },
            "squares": {
                "kind": "jsonl",
                "files": [str(home / "set/captions.jsonl")],
                "images": {"archives": {"paths": [str(home / "set/images")]}},
                "query": {"text": "caption"},
                "positive": {"images": "image"},
                "shard_rows": 3,
            },
        },
        "stages": {
            "quality": {"min_side_px": 16},
            "duplicates": {"hamming_radius": 0},
            "negatives": {
                "num_negatives": 3,
                "max_positive_similarity": None,
                "perc_pos": None,
                "datasets": {"rivers": {}, "squares": {"search_by": "positive"}},
            },
        },
        "datasets": {
            "rivers": {"kind": "existing_pairs", "source": "rivers", "task": "text_retrieval"},
            "squares": {"kind": "existing_pairs", "source": "squares", "task": "image_retrieval"},
        },
        "mixtures": {
            "one": {
                "corpus": str(home / "corpus"),
                "datasets": {"rivers": {"negatives": 3}, "squares": {"negatives": 3}},
            },
            "hard": {
                "corpus": str(home / "corpus-hard"),
                "batch_size": 4,
                "pairs_per_shard": 4,
                "datasets": {
                    "rivers": {"batches": {"community": 2, "ranks": [0, 8]}},
                    "squares": {"batches": {"community": 4, "ranks": [1, 4]}},
                },
            },
        },
    }
    return merged(data, changes or {})


def mined(home: Path, changes: dict[str, Any] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Runs everything in `home` and returns the samples of each dataset."""
    if not (home / "set").exists():
        write_set(home / "set")
    result = run(parse_settings(settings(home, changes), Config), Selection(), Terminal(quiet=True))
    assert result.failed == []
    assert verify(str(home / "corpus")).faults == verify(str(home / "corpus-hard")).faults == []
    return {name: [each["json"] for each in samples(home / "corpus", name)] for name in ("rivers", "squares")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mining")
    mined(folder)
    return folder


def test_questions_get_passages_about_other_rivers(home: Path) -> None:
    found = [each["json"] for each in samples(home / "corpus", "rivers")]
    assert len(found) == 13
    answers: dict[str, set[str]] = {}
    for each in found:
        answers.setdefault(each["query"]["text"], set()).add(each["positive"]["text"])
    for each in found:
        negatives = each["negatives"]
        texts = {negative["text"] for negative in negatives}
        assert len(texts) == 3
        assert not texts & answers[each["query"]["text"]], "no positive of an equal query"
        origins = [negative["origin"] for negative in negatives]
        if "how long" in each["query"]["text"]:
            assert (negatives[0]["text"], origins) == ("A lake is no river.", ["given", "mined", "mined"])
        else:
            assert origins == ["mined"] * 3
        scores = [negative["score"] for negative in negatives if negative["origin"] == "mined"]
        assert scores == sorted(scores, reverse=True) and all(0 < score < 1 for score in scores)
        assert 0 < each["positive_score"] < 1 and each["positive_rank"] >= 0
        ranked = [negative["rank"] >= 0 for negative in negatives]
        assert ranked == [origin == "mined" for origin in origins]
        assert {negative["judge"] for negative in negatives} == {-1.0}


def test_pictures_get_pictures_that_look_alike(home: Path) -> None:
    found = [each["json"] for each in samples(home / "corpus", "squares")]
    assert len(found) == 8
    ground = {each["positive"]["id"]: each["query"]["text"].split()[-1] for each in found}
    for each in found:
        own = ground[each["positive"]["id"]]
        grounds = [ground[negative["id"]] for negative in each["negatives"]]
        assert grounds == [own] * 3, "there are three more of its own ground"
        assert all(negative["positive_similarity"] > 0.5 for negative in each["negatives"])
        assert each["positive_rank"] == -1


def test_what_was_chosen_and_left_out_is_in_the_runs_log(home: Path) -> None:
    logs = [path.read_text().splitlines() for path in (home / "workspace/runs").glob("*.jsonl")]
    outcomes = [json.loads(line) for log in logs for line in log]
    counts: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.get("stage") == "negatives" and outcome["owner"].startswith("rivers"):
            for name, number in outcome["metrics"]["negatives"].items():
                counts[name] = counts.get(name, 0) + number
    assert (counts["mined"], counts["given"], counts.get("missing", 0)) == (13 * 3 - 6, 6, 0)
    assert counts["positive_of_equal_query"] == 2, "the two answers to one question"
    assert counts["own_positive"] == 13
    left_out = counts["candidates"] - counts["chosen"] - counts["spare"]
    assert left_out >= 15


def test_a_second_run_has_nothing_to_do_and_a_changed_rule_redoes_only_the_choice(home: Path) -> None:
    config = parse_settings(settings(home), Config)
    assert {one.state for _, planned in plan_run(config, Selection()).steps for one in planned} == {"done"}
    changed = parse_settings(settings(home, {"stages": {"negatives": {"range_min": 1}}}), Config)
    steps = plan_run(changed, Selection()).steps
    states = {(step.name, one.node.dataset): (one.state, one.why) for step, planned in steps for one in planned}
    stale = {key: why for key, (state, why) in states.items() if state != "done"}
    assert stale == {("negatives", name): "range_min: 0 -> 1" for name in ("rivers", "squares")}


def test_more_rows_make_the_search_stale_and_say_why(home: Path, tmp_path: Path) -> None:
    mined(tmp_path)
    more = {"query": "which river is the longest", "pos": ["Of all rivers the Lot is the longest."], "neg": []}
    with (tmp_path / "set/texts.jsonl").open("a") as file:
        file.write("".join(json.dumps({**more, "query": f"{more['query']} of {n}"}) + "\n" for n in range(5)))
    config = parse_settings(settings(tmp_path), Config)
    result = run(config, Selection(stage="embed"), Terminal(quiet=True))
    assert result.failed == []
    steps = {step.name: planned for step, planned in plan_run(config, Selection()).steps}
    whys = {one.why for one in steps["neighbours"] if one.node.dataset == "rivers" and one.state == "stale"}
    assert any("the pool `embed` grew by 1 tables, to 4" in why for why in whys), whys


def searches(home: Path, started: int) -> dict[str, int]:
    """How many pairs of rivers were searched for since a time (ns), and how many were found in earlier tables."""
    found = {"searched": 0, "found_before": 0}
    for path in (home / "workspace/runs").glob("*.jsonl"):
        for outcome in map(json.loads, path.read_text().splitlines() if path.stat().st_mtime_ns > started else []):
            if outcome.get("stage") == "neighbours" and outcome["owner"].startswith("rivers"):
                found = {name: number + outcome["metrics"]["neighbours"][name] for name, number in found.items()}
    return found


def test_a_frozen_pool_keeps_old_searches_and_new_pairs_are_searched_for_in_it(tmp_path: Path) -> None:
    frozen = {"stages": {"neighbours": {"datasets": {"rivers": {"pool": "first"}}}}}
    write_set(tmp_path / "set")
    config = parse_settings(settings(tmp_path, frozen), Config)
    assert run(config, Selection(stage="pairs"), Terminal(quiet=True)).failed == []
    assert "rivers: pool first will be frozen with 3 tables" in plan_run(config, Selection()).notices
    mined(tmp_path, frozen)
    assert (tmp_path / "workspace/pools/rivers/first.json").exists()
    unfrozen = parse_settings(settings(tmp_path), Config)
    assert {one.state for _, planned in plan_run(unfrozen, Selection()).steps for one in planned} == {"done"}

    more = {"query": "which river is the longest", "pos": ["Of all rivers the Lot is the longest."], "neg": []}
    rows = [{**more, "query": f"{more['query']} of {n}"} for n in range(5)]
    (tmp_path / "set/more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {**settings(tmp_path)["sources"]["rivers"], "files": [str(tmp_path / "set/more.jsonl")]}
    grown = merged(frozen, {"sources": {"more": source}, "datasets": {"rivers": {"more_sources": ["more"]}}})
    config = parse_settings(settings(tmp_path, grown), Config)
    assert run(config, Selection(stage="embed"), Terminal(quiet=True)).failed == []
    plan = plan_run(config, Selection())
    assert "rivers: frozen pool first of 3 tables (1 newer are not in it)" in plan.notices, "old pairs stay as they are"
    whys = [one.why for _, planned in plan.steps for one in planned if one.node.dataset == "rivers"]
    assert not any("the pool `embed`" in why for why in whys)
    started = time.time_ns()
    samples_of = mined(tmp_path, grown)["rivers"]
    assert searches(tmp_path, started) == {"searched": 5, "found_before": 0}, "the old searches are done, not looked up"
    new = [each for each in samples_of if each["query"]["text"].startswith("which river")]
    assert len(new) == 5 and {each["positive_rank"] for each in new} == {-1}
    assert all(0 < each["positive_score"] <= 1 for each in new)
    for each in samples_of:
        assert more["pos"][0] not in [n["text"] for n in each["negatives"] if n["origin"] == "mined"]
        assert len(each["negatives"]) == 3

    with (tmp_path / "set/texts.jsonl").open("a") as file:  # into the last shard, of three pairs
        file.write(json.dumps({"query": "who sails the Rhine", "pos": ["Barges sail the Rhine."], "neg": []}) + "\n")
    started = time.time_ns()
    mined(tmp_path, grown)
    assert searches(tmp_path, started) == {"searched": 1, "found_before": 3}, "of a shard with a pair more"

    first = json.loads((tmp_path / "workspace/pools/rivers/first.json").read_text())["tables"][0]
    (tmp_path / "workspace" / first).unlink()
    with pytest.raises(SettingsError, match=r"1 of the 3 tables of frozen pool first are gone, .*000000"):
        plan_run(config, Selection())


@pytest.mark.parametrize("engine", ["ray", "beam"])
def test_the_same_bytes_on_every_engine(home: Path, tmp_path: Path, engine: str) -> None:
    engine_or_skip(engine)
    mined(tmp_path, {"engine": {"kind": engine, "workers": 2} if engine == "ray" else {"kind": engine}})
    for corpus in ("corpus", "corpus-hard"):
        assert digests(tmp_path / corpus, "**/*.tar") == digests(home / corpus, "**/*.tar")


def test_batches_of_communities_are_of_what_looks_alike(home: Path) -> None:
    entries = json.loads((home / "corpus-hard/manifest.json").read_bytes())["datasets"]
    assert {entry["batch_rule"] for entry in entries.values()} == {"communities"}
    found = [each["json"] for each in samples(home / "corpus-hard", "squares")]
    grounds = [{each["query"]["text"].split()[-1] for each in found[start : start + 4]} for start in (0, 4)]
    assert sorted(map(sorted, grounds)) == [["blue"], ["red"]]
    report = entries["squares"]["batches"]
    assert report["hardest_similarity"] > report["shuffled_hardest_similarity"] > 0
    rivers = [each["json"] for each in samples(home / "corpus-hard", "rivers")]
    assert (len(rivers), entries["rivers"]["equal_sides_in_batch"]) == (13, 0)
    assert entries["rivers"]["batches"]["false_negatives"] == 0
    for start in range(0, 13, 4):
        batch = rivers[start : start + 4]
        for side in ("query", "positive"):
            assert len({each[side]["id"] for each in batch}) == len(batch)


def test_the_same_batches_with_other_workers_and_by_the_command(home: Path, tmp_path: Path) -> None:
    write_set(tmp_path / "set")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings(tmp_path, {"engine": {"workers": 3}})))
    done = call("run", tmp_path / "config.yaml", "--mixture", "hard")
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "corpus-hard", "**/*.tar") == digests(home / "corpus-hard", "**/*.tar")
    words = " ".join(done.stdout.split())
    assert "squares: hardest similarity in a batch 0." in words and "false negatives 0 (shuffled 0)" in words


def test_batches_of_what_is_not_mined_are_refused(tmp_path: Path) -> None:
    def refused(batches: dict[str, Any], message: str, **changes: Any) -> None:
        hard = {"mixtures": {"hard": {"datasets": {"rivers": {"batches": batches}}}}, **changes}
        with pytest.raises(SettingsError, match=message):
            parse_settings(settings(tmp_path, hard), Config)

    where = r"mixtures\.hard\.datasets\.rivers\.batches"
    refused({"ranks": [30, 201]}, rf"{where}\.ranks: up to 201, but stages\.neighbours\.k is 200: raise it")
    refused({"community": 8}, rf"{where}\.community: more than a batch of 4")
    refused({"ranks": [9, 9]}, r"ranks are \[9, 9\]: the first from 0, the second above it")
    data = settings(tmp_path)
    del data["stages"]["negatives"]["datasets"]["rivers"]
    with pytest.raises(SettingsError, match=rf"{where}: .* name 'rivers' in stages\.negatives\.datasets"):
        parse_settings(data, Config)


def test_datasets_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"stages\.negatives\.datasets: no dataset 'lakes'; there is rivers, squares"
    ):
        parse_settings(settings(tmp_path, {"stages": {"negatives": {"datasets": {"lakes": {}}}}}), Config)
    with pytest.raises(SettingsError, match=r"stages\.negatives\.datasets\.rivers: 3 negatives do not fit"):
        parse_settings(settings(tmp_path, {"stages": {"negatives": {"range_max": 2}}}), Config)
    with pytest.raises(SettingsError, match=r"stages\.neighbours\.datasets\.lakes: nothing is searched for there"):
        parse_settings(settings(tmp_path, {"stages": {"neighbours": {"datasets": {"lakes": {"pool": "a"}}}}}), Config)
    assert Store(tmp_path).names("workspace") == []


def test_the_positives_are_searched_by_text_image_and_pair(home: Path, tmp_path: Path) -> None:
    config = parse_settings(settings(home), Config)
    first, *others = search_positives(config, "the river Indre and its length in miles", 4, "rivers")
    assert "Indre" in first.text and all("Indre" not in hit.text for hit in others)
    assert first.score == max(hit.score for hit in [first, *others])
    (tmp_path / "query.png").write_bytes(scene("red", 41))
    hits = search_positives(config, str(tmp_path / "query.png"), 4)
    assert [hit.dataset for hit in hits] == ["squares"] * 4
    assert all(hit.query.endswith("on red") for hit in hits)
    assert hits[0].query == "a square at 40 on red"
    tar, _, place = hits[0].media[0].rpartition(":")
    offset, size = map(int, place.split("+"))
    data = Path(tar) if Path(tar).is_absolute() else home / "workspace" / tar
    assert data.read_bytes()[offset : offset + size] == scene("red", 40)
    again = search_positives(config, hits[0].pair_id, 2)
    assert again[0].pair_id == hits[0].pair_id and again[0].score == pytest.approx(1, abs=1e-3)


def test_what_cannot_be_searched_for_is_an_error(home: Path, tmp_path: Path) -> None:
    config = parse_settings(settings(home), Config)
    (tmp_path / "broken.png").write_bytes(scene("red", 41)[:60])
    cases = {
        "?!": "cannot be searched for: no_content",
        str(tmp_path / "broken.png"): "no image that can be decoded",
        "ab" * 16: f"no pair {'ab' * 16} has a vector",
    }
    for query, message in cases.items():
        with pytest.raises(SettingsError, match=re.escape(message)):
            search_positives(config, query, 3)
    with pytest.raises(SettingsError, match="none that is mined; there is rivers, squares"):
        search_positives(config, "x", 3, "lakes")
    write_set(tmp_path / "set")
    empty = parse_settings(settings(tmp_path, {"workspace": str(tmp_path / "none")}), Config)
    with pytest.raises(SettingsError, match="no vectors exist"):
        search_positives(empty, "x", 3)


def test_the_command_prints_what_it_finds(home: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings(home)))
    done = call("search", tmp_path / "config.yaml", "how long is the Lot", "-k", "2", "--dataset", "rivers")
    assert done.returncode == 0, done.stderr
    assert "nearest positives" in done.stdout and "Lot" in done.stdout
    done = call("search", tmp_path / "config.yaml", "x", "--dataset", "lakes")
    assert done.returncode == 2 and "--dataset lakes: none that is mined" in done.stderr + done.stdout


def test_what_is_found_is_drawn(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The query on top, then the hits: red grounds before blue ones, as in the table."""
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings(home)))
    monkeypatch.chdir(tmp_path)
    image = str(home / "set/images/red-30.png")
    shown = CliRunner().invoke(app, ["search", "settings.yaml", image, "--dataset", "squares", "-k", "5", "--show"])
    assert (shown.exit_code, shown.output.splitlines()[-1]) == (0, f"drawn: {tmp_path / 'search.png'}")
    with Image.open("search.png") as sheet:
        assert sheet.size == (WIDTH_PX, 6 * ROW_PX)
        corners = [sheet.getpixel((TEXT_PX + 3, row * ROW_PX + ROW_PX // 2)) for row in range(6)]
    assert corners == [COLOURS["red"]] * 5 + [COLOURS["blue"]]
    again = command("search", "settings.yaml", image, "--dataset", "squares", "-k", "5", "--inline")
    code, printed = in_pseudo_terminal(again, {"TERM": "xterm-kitty"})
    assert code == 0 and kitty_picture(printed) == (tmp_path / "search.png").read_bytes()


def test_a_pairs_query_and_clips_are_drawn(home: Path, tmp_path: Path) -> None:
    config = parse_settings(settings(home), Config)
    (hit,) = search_positives(config, str(home / "set/images/red-30.png"), 1)
    with Image.open(write_sheet(config, hit.pair_id, [hit], tmp_path / "one.png")) as sheet:
        assert ROW_PX < sheet.height < 2 * ROW_PX, "its query is a text, its positive a picture"
        assert sheet.getpixel((TEXT_PX + 3, sheet.height - ROW_PX // 2)) == COLOURS["red"]
    frames = search_positives(config, str(home / "set/images/blue-30.png"), 1)[0].media + hit.media
    strip = replace(hit, media=(*frames, f"{home}/set/texts.jsonl:0+50"))  # the last one is no image, as an mp4 is none
    with Image.open(write_sheet(config, "squares", [strip], tmp_path / "two.png")) as sheet:
        middle = sheet.height - ROW_PX // 2
        colours = [sheet.getpixel((TEXT_PX + 3 + number * (THUMBNAIL_PX + GAP_PX), middle)) for number in range(3)]
    assert colours == [COLOURS["blue"], COLOURS["red"], (255, 255, 255)]
    with pytest.raises(SettingsError, match=r"no pair 0{32} is embedded"):
        write_sheet(config, "0" * 32, [], tmp_path / "three.png")
