"""Writes the files beside the weights of the test VLM: configuration, tokenizer, chat template, image processor.

They have the forms of Qwen2-VL, as transformers and vLLM read them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from demo.vlm.scenes import COLOURS, COUNTS, PLACES, PLURALS, SHAPES, SIZES

PATCH_PX, MERGE, COPIES = 14, 2, 2  # of the vision tower: a patch, patches merged along each side, copies of an image
SIDE_PX = 112  # of a square picture as the model sees it: 16 visual tokens
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # OpenAI CLIP's, as Qwen2-VL's

VOCABULARY = 384
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
SPECIAL_IDS = {token: number for number, token in enumerate(SPECIAL_TOKENS)}
JOINT = " then "  # between the captions of several pictures
CHAT_ROLES = ("system", "user", "assistant")
# Words that prompts are made of: a prompt that uses them is a few tokens long and not a hundred bytes.
PROMPT_WORDS = (
    "describe image picture this detail one sentence what is shown you are helpful assistant caption write in of "
    "short these frames and video clip see to for with it be that as by from or not all each scene photo visible "
    "colour colours shape shapes position text any if there do say only objects The Describe Write What You short "
    "word words "
)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] in ('image', 'image_url') or 'image' in part %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' or 'video' in part %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def model_config() -> dict[str, Any]:
    """Returns the configuration of a `Qwen2VLForConditionalGeneration` with 2.2 million weights."""
    return {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "vocab_size": VOCABULARY,
        "hidden_size": 192,
        "intermediate_size": 512,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "hidden_act": "silu",
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-6,
        "initializer_range": 0.06,  # narrow layers learn slowly from the 0.02 of wide ones
        "rope_theta": 10000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "bos_token_id": SPECIAL_IDS["<|endoftext|>"],
        "eos_token_id": SPECIAL_IDS["<|im_end|>"],
        "image_token_id": SPECIAL_IDS["<|image_pad|>"],
        "video_token_id": SPECIAL_IDS["<|video_pad|>"],
        "vision_start_token_id": SPECIAL_IDS["<|vision_start|>"],
        "vision_end_token_id": SPECIAL_IDS["<|vision_end|>"],
        "vision_config": {
            "model_type": "qwen2_vl",
            "depth": 3,
            "embed_dim": 128,
            "hidden_size": 192,
            "num_heads": 2,
            "mlp_ratio": 4,
            "initializer_range": 0.06,
            "hidden_act": "quick_gelu",
            "in_channels": 3,
            "in_chans": 3,
            "patch_size": PATCH_PX,
            "spatial_patch_size": PATCH_PX,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": COPIES,
        },
        "torch_dtype": "bfloat16",
    }


def tokenizer_json() -> dict[str, Any]:
    """Returns a byte-level BPE without merges: a word of the vocabulary is one token, other text is its bytes."""
    from tokenizers.pre_tokenizers import ByteLevel

    words = sorted({*_caption_words(), *PROMPT_WORDS.split()})
    spelled = [*SPECIAL_TOKENS, *sorted(ByteLevel.alphabet()), *(f"Ġ{word}" for word in words), *_BARE_WORDS]
    if len(spelled) > VOCABULARY:
        raise ValueError(f"{len(spelled)} tokens, {VOCABULARY} at most: shorten PROMPT_WORDS")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "added_tokens": [{"id": number, "content": token, **flags} for token, number in SPECIAL_IDS.items()],
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "ignore_merges": True,
            "vocab": {token: number for number, token in enumerate(spelled)},
            "merges": [],
        },
    }


def write(folder: Path) -> None:
    """Writes all files except for the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    image_processor = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
        "min_pixels": 4 * (PATCH_PX * MERGE) ** 2,
        "max_pixels": SIDE_PX**2,
        "patch_size": PATCH_PX,
        "merge_size": MERGE,
        "temporal_patch_size": COPIES,
        "image_mean": MEAN,
        "image_std": STD,
    }
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "Qwen2VLProcessor",
        "pad_token": "<|endoftext|>",
        "eos_token": "<|im_end|>",
        "additional_special_tokens": list(SPECIAL_TOKENS[1:]),
        "model_max_length": 4096,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    generation = {
        "do_sample": False,
        "eos_token_id": [SPECIAL_IDS["<|im_end|>"], SPECIAL_IDS["<|endoftext|>"]],
        "pad_token_id": SPECIAL_IDS["<|endoftext|>"],
    }
    contents = {
        "config.json": model_config(),
        "generation_config.json": generation,
        "preprocessor_config.json": image_processor,
        "tokenizer_config.json": tokenizer,
        "tokenizer.json": tokenizer_json(),
        "chat_template.json": {"chat_template": CHAT_TEMPLATE},  # the processor's
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


_BARE_WORDS = (
    *COUNTS.values(),
    *CHAT_ROLES,
    "Describe",
    "Write",
    "What",
    "describe",
)  # where no space stands before them


def _caption_words() -> set[str]:
    phrases = [*COUNTS.values(), *SIZES, *COLOURS, *SHAPES, *PLURALS, *PLACES, "on a an background", JOINT]
    return {word for phrase in phrases for word in phrase.split()}
