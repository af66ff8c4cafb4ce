"""Each fault that a corpus can have, made on purpose: verify must name the file, the sample and what is wrong."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.publish import tar_check
from pipelines.publish.manifest import to_json
from pipelines.publish.publish import publish
from pipelines.publish.tar_check import Reader
from pipelines.publish.verify import verify
from tests.helpers.corpora import Members, change_manifest, read_members, rewrite_tar
from tests.helpers.raw_tars import END, block, header, sparse
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture, picture


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`clips`: 12 samples in groups, in tars of 4; `laion`: 6 samples."""
    world = World(str(tmp_path_factory.mktemp("work")))
    images = world.pictures(12)
    rows = [
        image_pair("clips", str(n), image, group=f"video {n // 2}" if n < 8 else "") for n, image in enumerate(images)
    ]
    world.dataset("clips", rows)
    world.captions("laion", 6)
    corpus = tmp_path_factory.mktemp("published") / "corpus"
    settings = mixture(corpus, {"clips": {"negatives": 1}, "laion": {}})
    publish(world.workspace, world.given(), settings, InlineEngine())
    assert verify(str(corpus)).faults == []
    return corpus


@pytest.fixture
def corpus(good: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(good, tmp_path / "corpus"))


def assert_only_fault(corpus: Path, said: str) -> None:
    faults = verify(str(corpus)).faults
    assert len(faults) == 1, faults
    assert re.search(said, faults[0]), faults


def edit_json(members: Members, sample: int, change: Callable[[dict[str, Any]], Any]) -> str:
    """Change a sample's JSON; returns its key."""
    at = [number for number, (name, _) in enumerate(members) if name.endswith(".json")][sample]
    name, content = members[at]
    data = json.loads(content)
    change(data)
    members[at] = (name, json.dumps(data).encode())
    return name.partition(".")[0]


LAION = "laion/laion-000000.tar"
CLIPS = "clips/clips-000000.tar"


def put_raw(corpus: Path, tar: str, data: bytes) -> None:
    """Other bytes for a tar, with their digests in the manifest: only what is in them is wrong."""
    (corpus / tar).write_bytes(data)
    dataset = tar.partition("/")[0]

    def relist(manifest: dict[str, Any]) -> None:
        [shard] = [one for one in manifest["datasets"][dataset]["shards"] if f"{dataset}/{one['name']}" == tar]
        shard |= {"bytes": len(data)} | {what: hashlib.new(what, data).hexdigest() for what in ("sha256", "md5")}

    change_manifest(corpus, relist)


def test_counts_are_those_of_the_corpus(good: Path) -> None:
    found = verify(str(good))
    assert (found.tars, found.samples, found.images) == (5, 18, 12 * 2 + 6)
    assert found.bytes == sum(tar.stat().st_size for tar in good.rglob("*.tar"))


def test_one_thread_finds_the_same(good: Path) -> None:
    assert verify(str(good), workers=1) == verify(str(good), workers=3)


def test_no_corpus_and_no_manifest(corpus: Path, tmp_path: Path) -> None:
    (corpus / "manifest.json").unlink()
    assert_only_fault(corpus, "manifest.json: missing: the corpus")
    assert_only_fault(tmp_path / "nowhere", "manifest.json: missing: the corpus")
    (corpus / "manifest.json").write_text("{")
    assert_only_fault(corpus, "manifest.json: not JSON")


def test_a_flipped_byte(corpus: Path) -> None:
    data = bytearray((corpus / LAION).read_bytes())
    data[-1] ^= 1  # in the end-of-archive blocks, which no reader looks at
    (corpus / LAION).write_bytes(data)
    after_end, *faults = verify(str(corpus)).faults
    assert "512 bytes after the end of the archive" in after_end
    assert faults == [f"{LAION}: its {what} is not the manifest's" for what in ("sha256", "md5")]


def test_a_tar_that_is_cut_off(corpus: Path) -> None:
    (corpus / LAION).write_bytes((corpus / LAION).read_bytes()[:2000])
    faults = verify(str(corpus)).faults
    assert any(fault.startswith(f"{LAION}: not a complete tar") for fault in faults)
    assert any("2000 bytes, " in fault for fault in faults)


def test_a_tar_that_is_none(corpus: Path) -> None:
    (corpus / LAION).write_bytes(b"<html>" * 1000)
    assert any(fault.startswith(f"{LAION}: not a complete tar") for fault in verify(str(corpus)).faults)


def test_files_that_are_missing_or_too_many(corpus: Path) -> None:
    (corpus / LAION).unlink()
    assert_only_fault(corpus, f"^{LAION}: listed in the manifest, but missing")
    (corpus / "laion/laion-000007.tar").write_bytes(b"")
    (corpus / ".progress").mkdir()
    (corpus / ".progress/x").write_bytes(b"")
    assert verify(str(corpus)).faults[:2] == [
        ".progress/x: not listed in the manifest",
        "laion/laion-000007.tar: not listed in the manifest",
    ]


def test_what_energon_adds_is_no_fault(corpus: Path) -> None:
    for path in ("laion/.nv-meta/split.yaml", "laion/laion-000000.tar.idx"):
        (corpus / path).parent.mkdir(exist_ok=True)
        (corpus / path).write_bytes(b"")
    assert verify(str(corpus)).faults == []


@pytest.mark.parametrize("path", ["README.md", "blend.yaml"])
def test_a_changed_card_or_blend(corpus: Path, path: str) -> None:
    (corpus / path).write_text("something else")
    assert_only_fault(corpus, f"^{path}: its sha256 is not the manifest's")


def test_an_index_that_does_not_match(corpus: Path) -> None:
    path = corpus / "laion/index.json"
    data = path.read_bytes().replace(b'"nsamples": 4', b'"nsamples": 5')
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    manifest = json.loads((corpus / "manifest.json").read_bytes())
    [file] = [file for file in manifest["files"] if file["name"] == "laion/index.json"]
    file["sha256"] = digest
    (corpus / "manifest.json").write_bytes(to_json(manifest))
    assert_only_fault(corpus, "^laion/index.json: does not list the manifest's shards")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (picture(1, size=(200, 200))[:4000], "truncated"),
        (picture(1, "PNG", size=(200, 200))[:4000], "truncated"),
        (b"", "cannot identify image file"),
        (b"<html>", "cannot identify image file"),
    ],
)
def test_an_image_that_does_not_decode(corpus: Path, content: bytes, why: str) -> None:
    members = read_members(corpus / LAION)
    key = members[3][0].partition(".")[0]
    members[3] = (members[3][0], content)
    rewrite_tar(corpus, LAION, members)
    assert_only_fault(corpus, f"^{LAION}: {key}: positive.jpg does not decode: .*{why}")


def test_a_key_that_is_there_twice_in_the_corpus(corpus: Path) -> None:
    first, second = read_members(corpus / LAION), read_members(corpus / "laion/laion-000001.tar")
    rewrite_tar(corpus, "laion/laion-000001.tar", [*first[:2], *second[2:]])
    assert_only_fault(corpus, f"^laion/laion-000001.tar: {first[0][0][:32]}: repeated key")


def test_members_that_do_not_lie_together(corpus: Path) -> None:
    members = read_members(corpus / LAION)
    members[1], members[2] = members[2], members[1]
    rewrite_tar(corpus, LAION, members)
    faults = verify(str(corpus)).faults
    assert any(
        f"{members[0][0][:32]}: members ['json'], expected ['json', 'positive.jpg']" in fault for fault in faults
    )


@pytest.mark.parametrize("spoil", ["missing", "extra", "order"])
def test_a_sample_with_other_fields(corpus: Path, spoil: str) -> None:
    members = read_members(corpus / CLIPS)
    key = members[0][0].partition(".")[0]
    if spoil == "missing":
        del members[2]
    elif spoil == "extra":
        members.insert(3, (f"{key}.negative_1.jpg", members[1][1]))
    else:
        members[1], members[2] = members[2], members[1]
    rewrite_tar(corpus, CLIPS, members)
    faults = verify(str(corpus)).faults
    assert faults[0].startswith(f"{CLIPS}: {key}: members [")


def test_a_key_that_is_none(corpus: Path) -> None:
    members = read_members(corpus / LAION)
    members[:2] = [("000000." + name.partition(".")[2], content) for name, content in members[:2]]
    rewrite_tar(corpus, LAION, members)
    assert f"{LAION}: 000000: not a key: 32 lower-case hexadecimal digits" in verify(str(corpus)).faults


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda sample: sample.update(label=None), "label is None, expected str"),
        (lambda sample: sample.update(pair_id="0" * 32), "pair_id is '0{32}', expected"),
        (lambda sample: sample.update(dataset="loain"), "dataset is 'loain', expected 'clips'"),
        (lambda sample: sample.update(task="guessing"), "task is 'guessing', expected 'image_retrieval'"),
        (lambda sample: sample.update(stage=2), "stage is 2, expected 1"),
        (
            lambda sample: sample["positive"].update(media=["query.jpg"]),
            r"names the media \['query.jpg', 'negative_0.jpg'\]",
        ),
        (lambda sample: sample["negatives"][0].update(origin="?"), r"negatives\[0\].origin is '\?'"),
        (lambda sample: sample.pop("source"), "json has keys"),
    ],
)
def test_a_json_that_is_not_as_promised(corpus: Path, change: Callable[[dict[str, Any]], Any], said: str) -> None:
    members = read_members(corpus / "clips/clips-000002.tar")
    key = edit_json(members, 1, change)
    rewrite_tar(corpus, "clips/clips-000002.tar", members)
    faults = [fault for fault in verify(str(corpus)).faults if "its groups" not in fault]
    assert len(faults) == 1
    assert re.search(f"^clips/clips-000002.tar: {key}: .*{said}", faults[0])


def test_too_few_negatives(corpus: Path) -> None:
    members = read_members(corpus / CLIPS)
    key = edit_json(members, 0, lambda sample: sample.update(negatives=[]))
    rewrite_tar(corpus, CLIPS, members)
    assert f"{CLIPS}: {key}: 0 negatives, expected 1" in verify(str(corpus)).faults


def test_a_json_that_is_none(corpus: Path) -> None:
    members = read_members(corpus / LAION)
    members[0] = (members[0][0], b"{")
    rewrite_tar(corpus, LAION, members)
    assert_only_fault(corpus, f"^{LAION}: {members[0][0][:32]}: json can't be read")


def groups_of(members: Members) -> list[str]:
    return [json.loads(content)["group"] for name, content in members if name.endswith(".json")]


def test_a_group_over_a_shard_boundary(corpus: Path) -> None:
    tars = sorted(f"clips/{path.name}" for path in corpus.glob("clips/*.tar"))
    groups = {tar: groups_of(read_members(corpus / tar)) for tar in tars}
    first, second = [tar for tar in tars if any(groups[tar])][:2]
    of_first = next(group for group in groups[first] if group)
    members = read_members(corpus / second)
    at = groups[second].index("") if "" in groups[second] else 0
    edit_json(members, at, lambda sample: sample.update(group=of_first))
    rewrite_tar(corpus, second, members)
    faults = verify(str(corpus)).faults
    assert len(faults) == 1
    assert re.search(
        rf"^manifest.json: clips: its groups lie in .* expected; group {of_first!r} does not lie", faults[0]
    )


def test_a_group_that_is_torn_inside_a_shard(corpus: Path) -> None:
    members = read_members(corpus / CLIPS)
    for sample, group in enumerate(["g", "", "g", ""]):
        edit_json(members, sample, lambda data, group=group: data.update(group=group))  # type: ignore[misc]
    rewrite_tar(corpus, CLIPS, members)
    assert_only_fault(corpus, "^manifest.json: clips: its groups lie in .* 1 cut, .* group 'g' does not lie together")


def test_groups_where_there_should_be_none(corpus: Path) -> None:
    members = read_members(corpus / LAION)
    edit_json(members, 0, lambda data: data.update(group="g"))
    rewrite_tar(corpus, LAION, members)
    assert_only_fault(corpus, "^manifest.json: laion: 1 groups in its samples, but its order is not of groups")


def test_an_empty_tar(corpus: Path) -> None:
    rewrite_tar(corpus, "laion/laion-000001.tar", [])
    assert_only_fault(corpus, "^manifest.json: laion: an empty shard, or none at all")


def test_shards_of_unequal_size(corpus: Path) -> None:
    rewrite_tar(corpus, LAION, read_members(corpus / LAION)[:2])
    assert_only_fault(corpus, r"^manifest.json: laion: shards of \[1, 2\] samples: only the last may be smaller")


def test_a_sample_too_few(corpus: Path) -> None:
    change_manifest(corpus, lambda manifest: manifest["datasets"]["laion"]["shards"][1].update(samples=3))
    assert verify(str(corpus)).faults == [
        "manifest.json: laion: 6 samples, but 7 in its shards",
        "laion/laion-000001.tar: 2 samples, 3 in the manifest",
    ]


def test_names_with_a_gap(corpus: Path) -> None:
    (corpus / "laion/laion-000001.tar").rename(corpus / "laion/laion-000005.tar")
    change_manifest(corpus, lambda manifest: manifest["datasets"]["laion"]["shards"][1].update(name="laion-000005.tar"))
    assert_only_fault(corpus, "^manifest.json: laion: the names of its shards are not consecutive")


def test_clusters_that_are_not_as_many(corpus: Path) -> None:
    change_manifest(corpus, lambda manifest: manifest["datasets"]["laion"].update(clustered=2))
    assert_only_fault(corpus, "^manifest.json: laion: 2 samples in clusters, but 0 in its shards")


def test_a_funnel_that_does_not_add_up(corpus: Path) -> None:
    change_manifest(corpus, lambda manifest: manifest["funnel"]["web"].update(kept=5))
    assert_only_fault(corpus, "^manifest.json: funnel of web: 10 rows in, but 5 kept and 4 removed")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.pop("files"), "files: Field required"),
        (lambda manifest: manifest["datasets"]["laion"].pop("negatives"), "datasets.laion.negatives: Field required"),
        (lambda manifest: manifest["datasets"]["clips"].update(wieght=1), "datasets.clips.wieght: Extra inputs"),
        (lambda manifest: manifest["datasets"]["clips"]["shards"][1].pop("md5"), "datasets.clips.shards.1.md5: Field"),
        (lambda manifest: manifest["funnel"]["web"].update(kept=None), "funnel.web.kept: Input should be a valid int"),
    ],
)
def test_a_manifest_of_another_shape(corpus: Path, change: Callable[[dict[str, Any]], Any], said: str) -> None:
    manifest = json.loads((corpus / "manifest.json").read_bytes())
    change(manifest)
    (corpus / "manifest.json").write_bytes(to_json(manifest))
    assert_only_fault(corpus, f"^manifest.json: {said}")


def test_weights_that_are_not_the_blends(corpus: Path) -> None:
    change_manifest(corpus, lambda manifest: manifest["datasets"]["laion"].update(weight=2.0))
    assert_only_fault(corpus, "^blend.yaml: does not blend the manifest's datasets by its weights")


def test_a_member_that_claims_what_is_not_there_is_refused(corpus: Path) -> None:
    """10 KB that claim 40 GiB: as a sparse member, and as one that ends behind the tar's end."""
    members = read_members(corpus / LAION)
    key = members[0][0].partition(".")[0]
    [at] = [n for n, (name, _) in enumerate(members) if name == f"{key}.jpg"] or [1]
    name, content = members[at]
    field = name.partition(".")[2]
    parts = [block(*member) for member in members]
    cases = {
        "sparse_member": sparse(name, content, claimed=40 << 30),
        "special_member": header(name, 0, b"1", link=members[0][0]),
        "a member of 42949672960 bytes": header(name, 40 << 30, wide=True),
    }
    for what, data in cases.items():
        rest = b"".join(parts[at + 1 :]) if "bytes" not in what else b""
        put_raw(corpus, LAION, b"".join(parts[:at]) + data + rest + END)
        faults = verify(str(corpus)).faults
        assert any(LAION in fault and key in fault and field in fault and what in fault for fault in faults), faults
        assert any("expected" in fault and key in fault for fault in faults), faults


def test_a_member_that_is_too_large_is_not_held(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, content = max(read_members(corpus / LAION), key=lambda member: len(member[1]))
    monkeypatch.setattr("pipelines.publish.tar_check._MAX_MEMBER_BYTES", len(content) - 1)
    key, _, field = name.partition(".")
    faults = verify(str(corpus)).faults
    assert any(f"{LAION}: {key}: {field}: {len(content)} bytes" in fault for fault in faults), faults


def test_bytes_after_the_end_of_a_tar_are_a_fault(corpus: Path) -> None:
    put_raw(corpus, LAION, (corpus / LAION).read_bytes() + block("more.txt", b"x") + END)
    assert_only_fault(corpus, f"{LAION}: not a complete tar: .*bytes after the end")


def with_another_picture(members: Members) -> str:
    """The first image in the place of the second one; its key."""
    first, second = [at for at, (name, _) in enumerate(members) if name.endswith(".jpg")][:2]
    members[second] = (members[second][0], members[first][1])
    return members[second][0].partition(".")[0]


@pytest.mark.parametrize("reader", Reader)
def test_an_image_that_shows_something_else_than_was_judged(corpus: Path, reader: Reader) -> None:
    members = read_members(corpus / LAION)
    key = with_another_picture(members)
    rewrite_tar(corpus, LAION, members)
    [fault] = verify(str(corpus), reader=reader).faults
    assert re.search(rf"{LAION}: {key}: positive.jpg shows another picture than was inspected: \d+ of the 64", fault)


def test_webdataset_finds_what_the_own_reader_finds(good: Path, corpus: Path) -> None:
    assert verify(str(good), reader=Reader.WEBDATASET) == verify(str(good))
    members = read_members(corpus / LAION)
    with_another_picture(members)
    edit_json(members, 2, lambda sample: sample.update(label=None))
    last = max(at for at, (name, _) in enumerate(members) if name.endswith(".jpg"))
    members[last] = (members[last][0], members[last][1][:-300])
    rewrite_tar(corpus, LAION, members)
    own = verify(str(corpus))
    assert len(own.faults) == 3
    assert verify(str(corpus), reader=Reader.WEBDATASET) == own


def test_without_webdataset_it_says_what_to_install(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_check.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'rzen-corpus\[webdataset\]'"):
        verify(str(good), reader=Reader.WEBDATASET)
