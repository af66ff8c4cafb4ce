"""The known vision-language models: by name, with what each needs from its engine.

Chat templates and image placeholders come with the model, from its own processor; but for one that has none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from corpus.image.pixel_budget import PixelBudget
from corpus.settings import SettingsError
from corpus.strict_json import parse_json

DEFAULT_MODEL = "glm-4v-9b"  # for GPUs

_TOKEN_PX = 28  # side of the square that a token stands for: in all families but the newest, which say so
_READ_WHOLE_BYTES, _END_BYTES = 16 << 20, 1 << 20


@dataclass(frozen=True)
class VisionModel:
    """A model, and how it is run."""

    family: str
    budget: PixelBudget  # of an image, unless settings have another
    max_model_len: int  # tokens of the images at `budget`, a prompt of a few hundred words and a long caption
    name: str = ""
    repository: str = ""  # of the hub, or a local folder
    revision: str = ""  # of the repository: a commit; "": whatever is newest there
    engine_args: Mapping[str, Any] = field(default_factory=dict)  # that vLLM must have to load it
    chat_template: str = ""  # Jinja, for a model that is published without one
    stop_token_ids: tuple[int, ...] = ()  # besides the tokenizer's own end
    max_images: int | None = None  # in one request; None: what `max_model_len` has room for
    in_vllm: bool = True  # False: vLLM has no such architecture, so only an endpoint can serve it

    def mm_processor_kwargs(self, budget: PixelBudget) -> dict[str, Any]:
        """Arguments with which the model's processor leaves images of the size that `budget` (of one image) gives them.

        For vLLM's argument of this name. {} where the processor knows one size only.
        """
        if self.family.startswith("qwen"):
            return {"min_pixels": budget.effective_min_pixels, "max_pixels": budget.max_pixels}
        if self.family == "internvl":
            return {"max_dynamic_patch": budget.tiles}
        return {}

    def tokens(self, budget: PixelBudget) -> int:
        """Of the largest image that the budget allows, with what marks its beginning and its end."""
        if budget.tile_px:
            tiles = budget.tiles + (budget.tiles > 1)  # several come with one more, of the whole image in small
            return tiles * (budget.tile_px // _TOKEN_PX) ** 2 + 2
        return budget.max_pixels // (budget.multiple if budget.multiple > 1 else _TOKEN_PX) ** 2 + 2

    def length(self, budget: PixelBudget, images: int) -> int:
        """`max_model_len` where requests have so many images of this budget each: words have the room that they have
        beside one image."""
        if images == 1:
            return self.max_model_len
        words = self.max_model_len - self.tokens(self.budget)
        return max(self.max_model_len, words + images * self.tokens(budget))


# Budgets. 512² to 768² pixels is usual for captions: details are legible, and the image costs no more tokens than
# prompt and caption do. Where there is a choice, all stay within the 1280 visual tokens that a trainer will look with.
_QWEN_PIXELS = 768 * 768  # 752 tokens of 28², 576 of 32²

# As the code of GLM-4V's tokenizer puts a conversation together. vLLM wants a template, and none is published.
_GLM4V_TEMPLATE = (
    "[gMASK]<sop>{% for message in messages %}<|{{ message['role'] }}|>{{ '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% else %}<|begin_of_image|><|endoftext|><|end_of_image|>{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

_FAMILIES = {
    model.family: model
    for model in (
        # Squeezes whatever it gets into 1120×1120: 1600 tokens, and no choice. Its config names the text-only class.
        # The three ends of a turn are <|endoftext|>, <|user|> and <|observation|>.
        VisionModel(
            "glm4v",
            PixelBudget(max_pixels=1120 * 1120, tile_px=1120, max_tiles=1),
            4096,
            engine_args={"hf_overrides": {"architectures": ["GLM4VForCausalLM"]}, "trust_remote_code": True},
            chat_template=_GLM4V_TEMPLATE,
            stop_token_ids=(151329, 151336, 151338),
            max_images=1,
        ),
        # Its own lower limit, 56×56, would show a thumbnail as four tokens: at 224×224 it has 64.
        VisionModel("qwen2_vl", PixelBudget(min_pixels=224 * 224, max_pixels=_QWEN_PIXELS, multiple=28), 4096),
        VisionModel("qwen2_5_vl", PixelBudget(min_pixels=224 * 224, max_pixels=_QWEN_PIXELS, multiple=28), 4096),
        # Its own lower limit: 256×256, 64 tokens.
        VisionModel("qwen3_vl", PixelBudget(min_pixels=256 * 256, max_pixels=_QWEN_PIXELS, multiple=32), 4096),
        # 256 tokens a tile, and one more tile with the whole image in small: 1280 with four, 3328 with its own twelve.
        VisionModel(
            "internvl",
            PixelBudget(max_pixels=4 * 448 * 448, tile_px=448),
            4096,
            engine_args={"trust_remote_code": True},
        ),
        # Squeezed into 1344×1344 by its server: not before it is sent, for most images are smaller than that.
        VisionModel("cogvlm2", PixelBudget(max_pixels=1344 * 1344), 8192, max_images=1, in_vllm=False),
    )
}

_REPOSITORIES = {
    "glm-4v-9b": ("glm4v", "zai-org/glm-4v-9b"),
    "qwen2-vl-2b": ("qwen2_vl", "Qwen/Qwen2-VL-2B-Instruct"),
    "qwen2-vl-7b": ("qwen2_vl", "Qwen/Qwen2-VL-7B-Instruct"),
    "qwen2.5-vl-3b": ("qwen2_5_vl", "Qwen/Qwen2.5-VL-3B-Instruct"),
    "qwen2.5-vl-7b": ("qwen2_5_vl", "Qwen/Qwen2.5-VL-7B-Instruct"),
    "qwen2.5-vl-72b": ("qwen2_5_vl", "Qwen/Qwen2.5-VL-72B-Instruct"),
    "qwen3-vl-2b": ("qwen3_vl", "Qwen/Qwen3-VL-2B-Instruct"),
    "qwen3-vl-4b": ("qwen3_vl", "Qwen/Qwen3-VL-4B-Instruct"),
    "qwen3-vl-8b": ("qwen3_vl", "Qwen/Qwen3-VL-8B-Instruct"),
    "qwen3-vl-32b": ("qwen3_vl", "Qwen/Qwen3-VL-32B-Instruct"),
    "internvl2.5-8b": ("internvl", "OpenGVLab/InternVL2_5-8B"),
    "internvl3-8b": ("internvl", "OpenGVLab/InternVL3-8B"),
    "internvl3.5-8b": ("internvl", "OpenGVLab/InternVL3_5-8B"),
    "cogvlm2-19b": ("cogvlm2", "zai-org/cogvlm2-llama3-chat-19B"),
}
# Of those whose repositories hold code that is run: nobody can put other code under these. They are the commits that
# public projects name for these repositories; whoever has looked at another one sets `revision`.
_REVISIONS = {
    "glm-4v-9b": "3376fea6e54db68587a89bf1ac27a6889bafb867",
    "internvl2.5-8b": "e9e4c0dc1db56bfab10458671519b7fa3dd29463",
    "internvl3-8b": "853e3a797a661694b1b8ece0cb72dc2b23e3dac9",
    "internvl3.5-8b": "9bb6a56ad9cc69db95e2d4eeb15a52bbcac4ef79",
}
MODELS = {
    name: replace(_FAMILIES[family], name=name, repository=repository, revision=_REVISIONS.get(name, ""))
    for name, (family, repository) in _REPOSITORIES.items()
}
_PINNED_BY = ("revision", "code_revision", "tokenizer_revision")  # of vLLM's engine arguments
_COMMIT = re.compile(r"[0-9a-f]{40}")

# In the name of a repository. What is in the format of transformers' own InternVL (…-hf) has another processor.
_PATTERNS = (
    (r"glm[-_]?4v[-_]9b", "glm4v"),
    (r"qwen[-_]?2[._]5[-_]?vl", "qwen2_5_vl"),
    (r"qwen[-_]?2[-_]?vl", "qwen2_vl"),
    (r"qwen[-_]?3[-_]?vl", "qwen3_vl"),
    (r"internvl[23](?!.*-hf$)", "internvl"),
    (r"cogvlm2", "cogvlm2"),
)
_MODEL_TYPES = {
    "qwen2_vl": "qwen2_vl",
    "qwen2_5_vl": "qwen2_5_vl",
    "qwen3_vl": "qwen3_vl",
    "qwen3_vl_moe": "qwen3_vl",
    "internvl_chat": "internvl",
}


def find_model(name_or_path: str, family: str = "") -> VisionModel:
    """The model of that name; else of that repository or local folder, with the values of its family.

    The family is as given, or from the folder's config.json, or from the repository's name. A folder's own patch size
    and pixel limits count. SettingsError where the family is unknown.
    """
    if family and family not in _FAMILIES:
        raise SettingsError(f"family {family!r}: none of {', '.join(_FAMILIES)}")
    named = MODELS.get(name_or_path.lower())
    if named is None:
        named = next((each for each in MODELS.values() if each.repository.lower() == name_or_path.lower()), None)
    if named is not None and family in ("", named.family):
        return named
    folder, short = Path(name_or_path), name_or_path.rstrip("/").rsplit("/", 1)[-1]
    local = _is_folder(name_or_path)
    if local:
        family = family or _family_of(folder)
    if local or "/" in name_or_path:
        family = family or _family_in(short)
    if not family:
        raise SettingsError(
            f"model {name_or_path!r}: neither a known name ({', '.join(MODELS)}) nor a repository or folder of a known "
            f"family; set `family` to one of {', '.join(_FAMILIES)}"
        )
    model = replace(_FAMILIES[family], name=short, repository=name_or_path)
    try:
        return replace(model, budget=_budget_of(folder, model.budget)) if local else model
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise SettingsError(f"{folder}: sizes in its config.json or preprocessor_config.json: {error}") from error


def _family_in(name: str) -> str:
    return next((family for pattern, family in _PATTERNS if re.search(pattern, name.lower())), "")


def _family_of(folder: Path) -> str:
    config = _json_of(folder / "config.json")
    if config.get("model_type") == "chatglm" and "vision_config" in config:
        return "glm4v"
    return _MODEL_TYPES.get(str(config.get("model_type", "")), "")


def _budget_of(folder: Path, budget: PixelBudget) -> PixelBudget:
    """The family's budget, within the limits that a checkpoint of one's own was made with."""
    vision = _json_of(folder / "config.json").get("vision_config")
    vision = vision if isinstance(vision, dict) else {}
    if budget.tile_px:
        return budget.model_copy(update={"tile_px": int(vision.get("image_size") or budget.tile_px)})
    images = _json_of(folder / "preprocessor_config.json")
    size = images.get("size")
    size = size if isinstance(size, dict) else {}
    patch, merge = vision.get("patch_size"), vision.get("spatial_merge_size")
    least = int(images.get("min_pixels") or size.get("shortest_edge") or 1)
    most = int(images.get("max_pixels") or size.get("longest_edge") or budget.max_pixels)
    most = min(budget.max_pixels, most)
    return budget.model_copy(
        update={
            "multiple": int(patch) * int(merge) if patch and merge else budget.multiple,
            "max_pixels": most,
            "min_pixels": min(most, max(least, budget.min_pixels)),
        }
    )


def _json_of(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = parse_json(file.read(_READ_WHOLE_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}


def pinned_revision(model: VisionModel, revision: str, engine_args: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's arguments that name the revision of a model, of its code and of its tokenizer.

    `revision` and `engine_args` are the user's; without a revision there it is the one that the model is known with.
    Where code from the repository is run (`trust_remote_code`), each must be a commit, which nobody can change: else
    SettingsError. A local folder's code is what lies in it, and no code of another repository is fetched for it.
    """
    revision = revision or model.revision
    arguments = {**model.engine_args, **engine_args}
    if not arguments.get("trust_remote_code"):
        return {"revision": revision}
    if _is_folder(model.repository):
        for name in ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json"):
            if "--" in json.dumps(_json_of(Path(model.repository) / name).get("auto_map")):  # as OWNER/REPOSITORY--FILE
                raise SettingsError(
                    f"{model.repository}/{name}: its code lies in another repository (auto_map): put it in the folder"
                )
        return {"revision": revision}
    found = {name: engine_args.get(name, revision) for name in _PINNED_BY}
    for name, value in found.items():
        if not isinstance(value, str) or not _COMMIT.fullmatch(value):
            raise SettingsError(
                f"{name} {value!r}: code from the repository {model.repository} is run (trust_remote_code), and a name "
                "may stand for other code tomorrow: set `revision` to a commit that you have looked at, 40 "
                "hexadecimal digits, as the repository's history lists them; or use a folder of your own"
            )
    return found


def _is_folder(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_dir()
    except (OSError, ValueError) as error:  # a name that is too long, or none at all
        raise SettingsError(f"model {path[:100]!r}: cannot be looked at: {error}") from None


def revision_of(path_or_id: str, revision: str = "") -> str:
    """The revision as given; for a local folder without one, 16 hex digits that change when a file in it does.

    They are of names, sizes and content, of files over 16 MB the first and the last MB; hidden files don't count. ""
    for a repository of the hub without a revision, whatever is newest there.
    """
    folder = Path(path_or_id)
    if revision or not _is_folder(path_or_id):
        return revision
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    digest = hashlib.sha256()
    for name in sorted(files):
        if any(part.startswith(".") for part in name.split("/")):
            continue
        size = files[name].stat().st_size
        digest.update(f"{name}\0{size}\0".encode())
        with files[name].open("rb") as file:
            if size <= _READ_WHOLE_BYTES:
                digest.update(file.read())
            else:
                digest.update(file.read(_END_BYTES))
                file.seek(size - _END_BYTES)
                digest.update(file.read(_END_BYTES))
    return digest.hexdigest()[:16]
