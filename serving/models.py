"""A table of known vision-language models: pixel budget, context length and the arguments that each needs of vLLM.

Chat templates and image placeholders come from the model's own processor, save for GLM-4V, which has none.
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
from corpus.strict_parse import parse_json

DEFAULT_MODEL = "glm-4v-9b"  # for GPUs

_TOKEN_PX = 28  # side of the square that a token stands for, where a family's budget has no `multiple`
_MAX_FULL_DIGEST_BYTES, _EDGE_BYTES = 16 << 20, 1 << 20


@dataclass(frozen=True)
class VisionModel:
    """A vision-language model and the arguments with which it is run."""

    family: str
    budget: PixelBudget  # of an image, unless the settings have another
    max_model_len: int  # tokens: one image at `budget`, a prompt of a few hundred words, and a long caption
    name: str = ""
    repository: str = ""  # of the hub, or a local folder
    revision: str = ""  # of the repository: a commit; "": the newest
    engine_args: Mapping[str, Any] = field(default_factory=dict)  # vLLM's, without which it does not load the model
    chat_template: str = ""  # Jinja, for a model that is published without one
    stop_token_ids: tuple[int, ...] = ()  # besides the tokenizer's end-of-sequence token
    max_images: int | None = None  # in one request; None: what `max_model_len` has room for
    in_vllm: bool = True  # False: vLLM has no such architecture, so only an endpoint can serve it

    def mm_processor_kwargs(self, budget: PixelBudget) -> dict[str, Any]:
        """Returns vLLM's `mm_processor_kwargs`, with which the processor resizes no image that fits `budget`.

        {} where the processor knows one size only.
        """
        if self.family.startswith("qwen"):
            return {"min_pixels": budget.effective_min_pixels, "max_pixels": budget.max_pixels}
        if self.family == "internvl":
            return {"max_dynamic_patch": budget.tiles}
        return {}

    def image_tokens(self, budget: PixelBudget) -> int:
        """Returns the tokens of the largest image that the budget allows, with those that mark its start and end."""
        if budget.tile_px:
            tiles = budget.tiles + (budget.tiles > 1)  # several come with a thumbnail
            return tiles * (budget.tile_px // _TOKEN_PX) ** 2 + 2
        return budget.max_pixels // (budget.multiple if budget.multiple > 1 else _TOKEN_PX) ** 2 + 2

    def context_length(self, budget: PixelBudget, images: int) -> int:
        """Returns the `max_model_len` for requests of so many images at this budget.

        Prompt and caption have as many tokens as they have beside one image.
        """
        if images == 1:
            return self.max_model_len
        words = self.max_model_len - self.image_tokens(self.budget)
        return max(self.max_model_len, words + images * self.image_tokens(budget))


# Budgets. 512² to 768² pixels is usual for captions: details are legible, and the image costs no more tokens than
# prompt and caption do. Where there is a choice, all stay within the 1280 visual tokens of the trainer.
_QWEN_PIXELS = 768 * 768  # 752 tokens of 28², 576 of 32²

# The conversation as the code of GLM-4V's tokenizer builds it. vLLM needs a template, and none is published.
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
        # Resizes every image to 1120×1120: 1600 tokens. Its config names the text-only class. The stop tokens are
        # <|endoftext|>, <|user|> and <|observation|>.
        VisionModel(
            "glm4v",
            PixelBudget(max_pixels=1120 * 1120, tile_px=1120, max_tiles=1),
            4096,
            engine_args={"hf_overrides": {"architectures": ["GLM4VForCausalLM"]}, "trust_remote_code": True},
            chat_template=_GLM4V_TEMPLATE,
            stop_token_ids=(151329, 151336, 151338),
            max_images=1,
        ),
        # The processor's lower limit, 56×56, makes four tokens of a thumbnail; 224×224 makes 64.
        VisionModel("qwen2_vl", PixelBudget(min_pixels=224 * 224, max_pixels=_QWEN_PIXELS, multiple=28), 4096),
        VisionModel("qwen2_5_vl", PixelBudget(min_pixels=224 * 224, max_pixels=_QWEN_PIXELS, multiple=28), 4096),
        # The processor's lower limit: 256×256, 64 tokens.
        VisionModel("qwen3_vl", PixelBudget(min_pixels=256 * 256, max_pixels=_QWEN_PIXELS, multiple=32), 4096),
        # 256 tokens a tile, and one more tile as thumbnail: 1280 with four tiles, 3328 with its default of twelve.
        VisionModel(
            "internvl",
            PixelBudget(max_pixels=4 * 448 * 448, tile_px=448),
            4096,
            engine_args={"trust_remote_code": True},
        ),
        # Its server resizes to 1344×1344. Images are not enlarged before they are sent: most are smaller than that.
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
# Pinned commits of the repositories whose code is run (trust_remote_code), as public projects name them. A user who has
# reviewed another commit sets `revision`.
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
_PINNED_BY = ("revision", "code_revision", "tokenizer_revision")  # vLLM's engine arguments
_COMMIT = re.compile(r"[0-9a-f]{40}")

# Matched in the name of a repository. Models in transformers' own InternVL format (…-hf) have another processor.
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
    """Returns the model of a name, a repository or a local folder.

    A model that is not in the table has the values of its family: `family`, or the one that the folder's config.json or
    the repository's name implies. A folder's patch size and pixel limits override the family's. Raises SettingsError
    for an unknown family.
    """
    if family and family not in _FAMILIES:
        raise SettingsError(f"family {family!r}: none of {', '.join(_FAMILIES)}")
    known = MODELS.get(name_or_path.lower())
    if known is None:
        known = next((each for each in MODELS.values() if each.repository.lower() == name_or_path.lower()), None)
    if known is not None and family in ("", known.family):
        return known
    folder, base_name = Path(name_or_path), name_or_path.rstrip("/").rsplit("/", 1)[-1]
    local = is_folder(name_or_path)
    if local:
        family = family or _family_of_folder(folder)
    if local or "/" in name_or_path:
        family = family or _family_of_name(base_name)
    if not family:
        raise SettingsError(
            f"model {name_or_path!r}: neither a known name ({', '.join(MODELS)}) nor a repository or folder of a known "
            f"family; set `family` to one of {', '.join(_FAMILIES)}"
        )
    model = replace(_FAMILIES[family], name=base_name, repository=name_or_path)
    try:
        return replace(model, budget=_checkpoint_budget(folder, model.budget)) if local else model
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise SettingsError(f"{folder}: sizes in its config.json or preprocessor_config.json: {error}") from error


def _family_of_name(name: str) -> str:
    return next((family for pattern, family in _PATTERNS if re.search(pattern, name.lower())), "")


def _family_of_folder(folder: Path) -> str:
    config = _read_json(folder / "config.json")
    if config.get("model_type") == "chatglm" and "vision_config" in config:
        return "glm4v"
    return _MODEL_TYPES.get(str(config.get("model_type", "")), "")


def _checkpoint_budget(folder: Path, budget: PixelBudget) -> PixelBudget:
    """Returns the family's budget with the patch size of a checkpoint, within the pixel limits it was trained with."""
    vision = _read_json(folder / "config.json").get("vision_config")
    vision = vision if isinstance(vision, dict) else {}
    if budget.tile_px:
        return budget.model_copy(update={"tile_px": int(vision.get("image_size") or budget.tile_px)})
    images = _read_json(folder / "preprocessor_config.json")
    size = images.get("size")
    size = size if isinstance(size, dict) else {}
    patch, merge = vision.get("patch_size"), vision.get("spatial_merge_size")
    min_pixels = int(images.get("min_pixels") or size.get("shortest_edge") or 1)
    max_pixels = int(images.get("max_pixels") or size.get("longest_edge") or budget.max_pixels)
    max_pixels = min(budget.max_pixels, max_pixels)
    return budget.model_copy(
        update={
            "multiple": int(patch) * int(merge) if patch and merge else budget.multiple,
            "max_pixels": max_pixels,
            "min_pixels": min(max_pixels, max(min_pixels, budget.min_pixels)),
        }
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = parse_json(file.read(_MAX_FULL_DIGEST_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}


def pinned_revision(model: VisionModel, revision: str, engine_args: Mapping[str, Any]) -> dict[str, Any]:
    """Returns vLLM's arguments for the revision of a model, of its code and of its tokenizer.

    `revision` and `engine_args` are the user's; the default revision is that of the table. Raises SettingsError where
    code from the repository is run (`trust_remote_code`) and a revision is not a commit, or where a local folder refers
    to code in another repository.
    """
    revision = revision or model.revision
    arguments = {**model.engine_args, **engine_args}
    if not arguments.get("trust_remote_code"):
        return {"revision": revision}
    if is_folder(model.repository):
        for name in ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json"):
            if "--" in json.dumps(
                _read_json(Path(model.repository) / name).get("auto_map")
            ):  # as OWNER/REPOSITORY--FILE
                raise SettingsError(
                    f"{model.repository}/{name}: its code lies in another repository (auto_map): put it in the folder"
                )
        return {"revision": revision}
    found = {name: engine_args.get(name, revision) for name in _PINNED_BY}
    for name, value in found.items():
        if not isinstance(value, str) or not _COMMIT.fullmatch(value):
            raise SettingsError(
                f"{name} {value!r}: code from the repository {model.repository} is run (trust_remote_code), and a "
                "branch or tag may point to other code tomorrow: set `revision` to a commit that you have reviewed (40 "
                "hexadecimal digits, see the repository's history), or use a local folder"
            )
    return found


def is_folder(path: str) -> bool:
    """Tells whether a model's name is that of a local folder. Raises SettingsError for what can't be a name."""
    try:
        return bool(path) and Path(path).is_dir()
    except (OSError, ValueError) as error:  # a name that is too long, or none at all
        raise SettingsError(f"model {path[:100]!r}: cannot be read: {error}") from None


def _is_file(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_file()
    except (OSError, ValueError):
        return False


def revision_of(path_or_id: str, revision: str = "") -> str:
    """Returns `revision`, or for a local folder or file without one a digest of its files: 16 hex digits.

    The digest is of names, sizes and contents (of files over 16 MB: the first and the last MB); hidden files are left
    out. Returns "" for a repository of the hub without a revision: the newest.
    """
    folder = Path(path_or_id)
    if revision or not (is_folder(path_or_id) or _is_file(path_or_id)):
        return revision
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if folder.is_file():
        files = {folder.name: folder}
    digest = hashlib.sha256()
    for name in sorted(files):
        if any(part.startswith(".") for part in name.split("/")):
            continue
        size = files[name].stat().st_size
        digest.update(f"{name}\0{size}\0".encode())
        with files[name].open("rb") as file:
            if size <= _MAX_FULL_DIGEST_BYTES:
                digest.update(file.read())
            else:
                digest.update(file.read(_EDGE_BYTES))
                file.seek(size - _EDGE_BYTES)
                digest.update(file.read(_EDGE_BYTES))
    return digest.hexdigest()[:16]
