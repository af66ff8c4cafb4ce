from __future__ import annotations

from recaption.special_tokens import has_special_token, remove_special_tokens
from tests.helpers.cases import cases
from tests.helpers.good_captions import GOOD_CAPTIONS

TOKENS = {
    "ChatGLM": ["[gMASK]", "<sop>", "<|user|>", "<|begin_of_image|>"],
    "ChatML, Qwen, Yi": ["<|im_start|>", "<|vision_start|>", "<|image_pad|>", "<|endoftext|>"],
    "Command R": ["<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>"],
    "DeepSeek, Janus": ["<｜begin▁of▁sentence｜>", "<｜Assistant｜>", "<image_placeholder>"],
    "Exaone": ["[|assistant|]"],
    "Florence-2, PaliGemma": ["<loc_12>", "<loc0012>", "<seg001>", "<OCR>", "<MORE_DETAILED_CAPTION>"],
    "Gemma": ["<start_of_turn>", "<end_of_turn>", "<image_soft_token>", "<start_of_image>", "<bos>", "<eos>"],
    "Granite": ["<|start_of_role|>"],
    "Idefics": ["<end_of_utterance>", "<fake_token_around_image>"],
    "InternLM, InternVL": ["<IMG_CONTEXT>", "</img>", "<eoa>", "[UNUSED_TOKEN_145]"],
    "Kimi-VL": ["◁think▷", "<|im_middle|>"],
    "Kosmos-2": ["<grounding>", "<patch_index_0044>"],
    "Llama, LLaVA": ["<|eot_id|>", "<|start_header_id|>", "[INST]", "<<SYS>>", "</s>", "<image>", "<im_patch>"],
    "Mistral, Pixtral": ["[IMG]", "[IMG_BREAK]", "[IMG_END]", "[TOOL_CALLS]", "[/INST]"],
    "Molmo": ['<point x="1.5" y="20">', "</points>"],
    "Phi": ["<|image_1|>", "<|end|>"],
    "T5 and bytes": ["<extra_id_7>", "<0x0A>", "<unused12>", "<pad>"],
    "thinking and tools": ["<think>", "</thinking>", "<tool_call>", "</tool_response>"],
}


@cases("family", TOKENS)
def test_tokens_of_every_family_are_found_and_removed(family: str) -> None:
    assert [token for token in TOKENS[family] if not has_special_token(f"A goat. {token} A sheep.")] == []
    assert [
        token for token in TOKENS[family] if remove_special_tokens(f"a {token.upper()} b").split() != ["a", "b"]
    ] == []


@cases(
    "text",
    [
        *GOOD_CAPTIONS,
        "I <3 goats",
        "x < 5 and y > 3",
        'A page with "<image>" and "<think>" in its text',
        "An array a[0] and a key [Enter]",
        "A vector<int> in a code editor",
        "||: bars of music :||",
    ],
)
def test_other_signs_are_no_tokens(text: str) -> None:
    assert not has_special_token(text)


def test_tokens_that_come_about_where_one_is_removed_go_too() -> None:
    assert remove_special_tokens("a <|im_<image>end|> [IN<s>ST] b").split() == ["a", "[IN", "ST]", "b"]
    assert remove_special_tokens("<|<|a|>b|> c").split() == ["c"]
