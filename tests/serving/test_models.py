"""Which models there are, and what is found out about others."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from corpus.settings import SettingsError, parse_settings
from recaption.settings import CaptionSettings
from serving.models import DEFAULT_MODEL, MODELS, find_model, pinned_revision, revision_of
from tests.helpers.extras import installed_or_skip

QWEN_PROCESSOR = {"min_pixels": 3136, "max_pixels": 12_845_056, "patch_size": 14, "merge_size": 2}


def checkpoint(folder: Path, config: dict[str, Any], processor: dict[str, Any] | None = None) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def test_every_name_is_found_by_itself_and_by_its_repository() -> None:
    assert find_model(DEFAULT_MODEL).engine_args["hf_overrides"] == {"architectures": ["GLM4VForCausalLM"]}
    for name, model in MODELS.items():
        assert find_model(name) is find_model(model.repository) is find_model(name.upper()) is model
        assert model.name == name
        assert "/" in model.repository


@pytest.mark.parametrize(
    ("name", "size", "patch", "merge"),
    [("qwen2-vl-7b", (644, 868), 14, 2), ("qwen2.5-vl-3b", (644, 868), 14, 2), ("qwen3-vl-8b", (640, 864), 16, 2)],
)
def test_visual_tokens_of_a_photograph(name: str, size: tuple[int, int], patch: int, merge: int) -> None:
    """At most what a trainer looks with, 1280; a 12-megapixel photograph has the size planted here."""
    model = find_model(name)
    assert model.budget.size(3000, 4000) == size
    assert size[0] * size[1] / (patch * merge) ** 2 <= 1280
    kwargs = model.mm_processor_kwargs(model.budget)
    assert kwargs == {"min_pixels": model.budget.min_pixels, "max_pixels": 768 * 768}


def test_models_of_one_size_and_of_tiles() -> None:
    glm, cog, intern = find_model("glm-4v-9b"), find_model("cogvlm2-19b"), find_model("internvl3.5-8b")
    assert glm.budget.size(3000, 4000) == (1120, 1120)
    assert glm.mm_processor_kwargs(glm.budget) == {}
    assert intern.mm_processor_kwargs(intern.budget) == {"max_dynamic_patch": 4}
    assert cog.budget.size(600, 800) == (600, 800)
    assert max(cog.budget.size(4000, 4000)) == 1344
    assert [model.name for model in MODELS.values() if not model.in_vllm] == ["cogvlm2-19b"]
    assert [model.name for model in MODELS.values() if model.max_images == 1] == ["glm-4v-9b", "cogvlm2-19b"]


def test_the_template_that_is_ours_puts_the_image_before_the_text() -> None:
    installed_or_skip("jinja2")
    import jinja2

    template = jinja2.Template(find_model("glm-4v-9b").chat_template)
    image, text = {"type": "image"}, {"type": "text", "text": "Describe it."}
    expected = "[gMASK]<sop><|user|>\n<|begin_of_image|><|endoftext|><|end_of_image|>Describe it.<|assistant|>"
    chat = [{"role": "user", "content": [image, text]}]
    assert template.render(messages=chat, add_generation_prompt=True) == expected
    plain = template.render(messages=[{"role": "user", "content": "Hello"}], add_generation_prompt=False)
    assert plain == "[gMASK]<sop><|user|>\nHello"
    assert [name for name, model in MODELS.items() if model.chat_template] == ["glm-4v-9b"]


@pytest.mark.parametrize(
    ("repository", "family"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct-AWQ", "qwen2_5_vl"),
        ("someone/my-qwen2_vl-tuned", "qwen2_vl"),
        ("Qwen/Qwen3-VL-30B-A3B-Instruct", "qwen3_vl"),
        ("OpenGVLab/InternVL3-38B", "internvl"),
        ("THUDM/glm-4v-9b", "glm4v"),
        ("THUDM/cogvlm2-llama3-chinese-chat-19B", "cogvlm2"),
    ],
)
def test_the_family_is_in_the_name_of_a_repository(repository: str, family: str) -> None:
    model = find_model(repository)
    assert (model.family, model.repository) == (family, repository)
    assert model.name == repository.split("/")[1]


@pytest.mark.parametrize("name", ["qwen4", "", "someone/llava", "OpenGVLab/InternVL3-8B-hf", "/no/folder"])
def test_an_unknown_model_names_the_known_ones(name: str) -> None:
    with pytest.raises(SettingsError, match=r"glm-4v-9b.*set `family` to one of .*qwen2_vl"):
        find_model(name)


def test_the_family_may_be_given() -> None:
    assert find_model("served-under-this-name", "qwen3_vl").budget.multiple == 32
    assert find_model("someone/llava", "internvl").repository == "someone/llava"
    with pytest.raises(SettingsError, match="'llava': none of glm4v"):
        find_model("someone/llava", "llava")


def test_a_folder_says_its_family(tmp_path: Path) -> None:
    types = {
        "qwen2_vl": "qwen2_vl",
        "qwen2_5_vl": "qwen2_5_vl",
        "qwen3_vl_moe": "qwen3_vl",
        "internvl_chat": "internvl",
    }
    for kind, family in types.items():
        assert find_model(str(checkpoint(tmp_path / kind, {"model_type": kind}))).family == family
    glm = checkpoint(tmp_path / "glm", {"model_type": "chatglm", "vision_config": {"image_size": 672}})
    assert find_model(str(glm)).budget.size(500, 900) == (672, 672)
    text = checkpoint(tmp_path / "text", {"model_type": "chatglm"})
    with pytest.raises(SettingsError, match="set `family`"):
        find_model(str(text))
    (text / "config.json").write_text("{")
    with pytest.raises(SettingsError, match=r"config\.json: cannot be read"):
        find_model(str(text))


def test_a_folder_s_own_patches_and_limits_count(tmp_path: Path) -> None:
    vision = {"patch_size": 8, "spatial_merge_size": 2}
    config = {"model_type": "qwen2_vl", "vision_config": vision}
    small = find_model(str(checkpoint(tmp_path / "small", config, {**QWEN_PROCESSOR, "max_pixels": 112 * 112}))).budget
    assert (small.multiple, small.min_pixels, small.max_pixels) == (16, 112 * 112, 112 * 112)
    sized = {"size": {"shortest_edge": 300_000, "longest_edge": 16_777_216}}
    large = find_model(str(checkpoint(tmp_path / "large", config, sized))).budget
    assert (large.min_pixels, large.max_pixels) == (300_000, 768 * 768)
    usual = find_model(str(checkpoint(tmp_path / "usual", {"model_type": "qwen2_vl"}, QWEN_PROCESSOR))).budget
    assert usual == MODELS["qwen2-vl-2b"].budget


def test_models_that_bring_code_are_known_with_a_commit() -> None:
    bring_code = {name for name, model in MODELS.items() if model.engine_args.get("trust_remote_code")}
    assert bring_code == {"glm-4v-9b", "internvl2.5-8b", "internvl3-8b", "internvl3.5-8b"}
    for name, model in MODELS.items():
        assert bool(re.fullmatch("[0-9a-f]{40}", model.revision)) == (name in bring_code)
        pinned = pinned_revision(model, "", {})
        assert pinned["revision"] == model.revision
        assert set(pinned.values()) == {model.revision}
        assert (pinned.keys() >= {"code_revision", "tokenizer_revision"}) == (name in bring_code)


COMMIT, OTHER = "0123456789abcdef" * 2 + "01234567", "f" * 40


@pytest.mark.parametrize(
    ("name", "revision", "engine_args", "message"),
    [
        ("glm-4v-9b", "main", {}, "revision 'main': code from the repository zai-org/glm-4v-9b is run"),
        ("glm-4v-9b", "v1.0", {}, "set `revision` to a commit"),
        ("glm-4v-9b", COMMIT[:7], {}, "40 hexadecimal digits"),
        ("glm-4v-9b", COMMIT.upper(), {}, "40 hexadecimal digits"),
        ("glm-4v-9b", COMMIT + "\n", {}, "40 hexadecimal digits"),
        ("glm-4v-9b", COMMIT, {"revision": "main"}, "revision 'main'"),
        ("glm-4v-9b", COMMIT, {"code_revision": "main"}, "code_revision 'main'"),
        ("glm-4v-9b", COMMIT, {"tokenizer_revision": None}, "tokenizer_revision None"),
        ("qwen2-vl-7b", "", {"trust_remote_code": True}, "revision '': .* Qwen/Qwen2-VL-7B-Instruct"),
        ("OpenGVLab/InternVL3-2B", "", {}, "revision ''"),
    ],
)
def test_code_of_a_repository_is_run_of_a_commit_only(
    name: str, revision: str, engine_args: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        pinned_revision(find_model(name), revision, engine_args)
    backend = {"kind": "vllm", "model": name, "revision": revision, "engine_args": engine_args}
    with pytest.raises(SettingsError, match=r"^settings: .*trust_remote_code"):
        parse_settings({"backend": backend}, CaptionSettings)


def test_a_commit_of_ones_own_goes_to_model_code_and_tokenizer() -> None:
    model = find_model("OpenGVLab/InternVL3-2B")
    assert set(pinned_revision(model, COMMIT, {}).values()) == {COMMIT}
    assert pinned_revision(model, COMMIT, {"tokenizer_revision": OTHER})["tokenizer_revision"] == OTHER
    assert pinned_revision(model, "main", {"trust_remote_code": False}) == {"revision": "main"}
    assert pinned_revision(find_model("qwen2-vl-7b"), "main", {}) == {"revision": "main"}


def test_code_in_a_folder_is_the_folders(tmp_path: Path) -> None:
    code = {"model_type": "internvl_chat", "auto_map": {"AutoConfig": "configuration.Config"}}
    folder = checkpoint(tmp_path / "own", code)
    assert pinned_revision(find_model(str(folder)), "", {}) == {"revision": ""}
    (folder / "tokenizer_config.json").write_text(
        '{"auto_map": {"AutoTokenizer": ["someone/else--code.Tokenizer", null]}}'
    )
    with pytest.raises(SettingsError, match=r"tokenizer_config\.json: its code lies in another repository"):
        pinned_revision(find_model(str(folder)), "", {})


@pytest.mark.parametrize("vision", [{"image_size": "x"}, {"image_size": [1]}, {"image_size": 1e400}])
def test_sizes_of_a_folder_that_are_none_are_named(tmp_path: Path, vision: dict[str, Any]) -> None:
    folder = checkpoint(tmp_path / "own", {"model_type": "internvl_chat", "vision_config": vision})
    with pytest.raises(SettingsError, match=r"own.*config\.json: "):
        find_model(str(folder))
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(SettingsError, match=r"config\.json: cannot be read: nested too deep"):
        find_model(str(folder))


def test_a_name_that_no_folder_can_have_is_named() -> None:
    for name in ("a/" + "x" * 5000, "a/b\0"):
        with pytest.raises(SettingsError):
            find_model(name)


def test_a_revision_that_is_given_stays() -> None:
    assert revision_of("Qwen/Qwen2-VL-2B-Instruct", "abc") == "abc"
    assert revision_of("Qwen/Qwen2-VL-2B-Instruct") == ""
    assert revision_of("") == ""


def test_the_revision_of_a_folder_changes_with_its_files(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", {"model_type": "qwen2_vl"})
    weights = folder / "model.safetensors"
    weights.write_bytes(bytes(20 << 20))
    found = [revision_of(str(folder))]
    assert len(found[0]) == 16
    assert revision_of(str(folder), "mine") == "mine"
    (folder / ".cache").mkdir()
    (folder / ".cache" / "lock").write_text("now")
    assert revision_of(str(folder)) == found[0]
    for at in (0, (20 << 20) - 1):
        with weights.open("r+b") as file:
            file.seek(at)
            file.write(b"\1")
        found.append(revision_of(str(folder)))
    (folder / "config.json").write_text("{}")
    found.append(revision_of(str(folder)))
    (folder / "config.json").rename(folder / "config2.json")
    found.append(revision_of(str(folder)))
    (folder / "sub").mkdir()
    (folder / "sub" / "more.json").write_text("")
    found.append(revision_of(str(folder)))
    assert len(set(found)) == len(found)


def test_how_many_tokens_an_image_takes() -> None:
    """As their cards and the comments on their budgets say."""
    tokens = {name: model.image_tokens(model.budget) - 2 for name, model in MODELS.items()}  # without its ends
    assert (tokens["glm-4v-9b"], tokens["internvl3-8b"], tokens["cogvlm2-19b"]) == (1600, 1280, 2304)
    assert (tokens["qwen2.5-vl-7b"], tokens["qwen3-vl-8b"]) == (752, 576)
    frames = MODELS["internvl3-8b"].budget.per_image(8)
    assert MODELS["internvl3-8b"].image_tokens(frames) - 2 == 256
    assert MODELS["internvl3-8b"].context_length(frames, 8) == 4096 - 1282 + 8 * 258
    assert MODELS["internvl3-8b"].context_length(frames, 1) == 4096
