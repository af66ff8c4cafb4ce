"""The special tokens of the chat templates of vision-language models: one list, for captions and for context in
prompts.

They are what tokenizers read as the end of a turn, a role, the place of an image or a coordinate, in the templates of
ChatGLM and GLM-4V, CogVLM, Command R and Aya, DeepSeek and Janus, Emu, Exaone, Falcon, Florence-2, Gemma, PaliGemma,
Granite, Idefics and SmolVLM, InternLM and InternVL, Kimi-VL, Kosmos-2, Llama and LLaVA, MiniCPM-V, Mistral and Pixtral,
Molmo, Phi, Qwen-VL, T5 and Yi.
"""

from __future__ import annotations

import re

from corpus.text.sentences import without_quotations

# <|im_end|>, <|START_OF_TURN_TOKEN|>, <｜end▁of▁sentence｜>, [|endofturn|], ◁think▷
_DELIMITED = r"[<＜](?:\||｜)[^<>＜＞]{0,80}?(?:\||｜)[>＞]|\[\|[^\[\]\n]{1,60}\|\]|[◁▷]/?[a-z_]{2,30}[◁▷]"
_TAGS = (
    # ends, padding, masks
    r"s|pad|unk|bos|eos|mask|cls|sep|eop|sop|eod|eoh|eoa|eom|eot|gmask|end_of_utterance|end_of_text|endoftext",
    # turns, thinking and tools
    r"(?:start|end)_of_(?:turn|role|text|image|audio|video)|im_(?:start|end|middle|patch)|user|assistant|system|human|bot"
    r"|think|thinking|thought|thoughts|reasoning|reflection|scratchpad|tool|tools|tool_?calls?|tool_?responses?|function"
    r"|function_?calls?|observation|channel|message",
    # images
    r"image|images|img|video|audio|frame|frames|patch|image_?(?:pad|patch|soft_token|placeholder|here|atom|id|newline|\d+)"
    r"|img_(?:context|end|start|plh|\d+)|video_(?:pad|\d+)|vid_(?:start|end)|vision_(?:start|end)|begin_of_(?:image|text|video)"
    r"|fake_token_around_image|global-img|row_\d+_col_\d+|slice|slice_start|slice_end|unit|ph_token",
    # places in an image, and tasks
    r"box|bbox|ref|quad|point|points|poly|obj|object|objects|phrase|region|grounding|delimiter_of_multi_objects/?"
    r"|loc_?\d+|seg_?\d+|bin_?\d+|patch_index_\d+|ocr|od|caption_to_phrase_grounding|(?:more_)?detailed_caption",
    # reserved
    r"extra_id_\d+|unused_?\d+|reserved_?\d+|reserved_special_token_\d+|tokens_unused_\d+|0x[0-9a-f]{2}",
)
# A tag may have attributes, as Molmo's <point x="1" y="2">.
_TAG = rf"[<＜]\s*/?\s*(?:{'|'.join(_TAGS)})(?:\s+[a-z_]+\d*\s*=[^<>]{{0,200}})?\s*/?\s*[>＞]"
_BRACKETED = (
    r"\[/?(?:EOS|BOS|PAD|START|END|STOP|UNK|EOT|EOM|EOP|SOP|USER|ASSISTANT|SYSTEM|MODEL|IMAGE|VIDEO|control_\d+|INST|IMG|IMG_BREAK|IMG_END|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|SYSTEM_PROMPT|THINK|g?MASK|sMASK|CLS|SEP"
    r"|unused_?\d+|UNUSED_TOKEN_\d+)\]|\[<IMG_PLH>\]|<</?SYS>>"
)
SPECIAL_TOKEN = re.compile(f"{_DELIMITED}|{_TAG}|{_BRACKETED}", re.IGNORECASE)
_ALWAYS_TOKEN = re.compile(_DELIMITED, re.IGNORECASE)
# Any other tag, as new models have them; but no keys of a keyboard, nor "vector<int>".
_ANY_TAG = re.compile(
    r"(?<![\w<＜])[<＜]/?(?!(?:enter|return|shift|esc|tab|ctrl|alt|del|space|cmd|home|end|f\d+)[>＞])[a-z][\w:.=-]{0,60}\s?/?[>＞]"
    r"|[<＜][|｜][^<>＜＞|｜]{0,40}$|^[^<>＜＞|｜]{0,40}[|｜][>＞]",
    re.IGNORECASE,
)
# Blanks and line ends as byte-level and SentencePiece vocabularies spell them; Ġgantija is a place.
_PIECES = re.compile(
    r"▁[^\s▁]{1,60}\s?▁[^\s▁]|▁{2}|\w</w>|\w\s##\w|[|｜][>＞]|\[/?[A-Z]{1,30}_[A-Z_]{1,30}\]|\[/[A-Z]{2,30}\]|Ġ\w{1,40}\W{0,3}(?:\w{0,40}Ġ\w{1,40}\W{0,3}){2}|Ċ(?=\W|$)|(?<=[.!?])Ċ"
)
_ROLES = re.compile(
    r"(?<!#)#{2,6}\s{0,4}(?:assistant|human|user|system|instruction|response|input|output|end)\s*(?::|$)", re.IGNORECASE
)
_CANDIDATE = re.compile(r"[<＜\[◁▷▁ĠĊ#|｜]")


def has_special_token(text: str) -> bool:
    """Returns whether a text has a special token; a tag such as <thinking> in quotation marks is lettering."""
    if not _CANDIDATE.search(text):
        return False
    if _ALWAYS_TOKEN.search(text):
        return True
    plain = without_quotations(text)
    return any(pattern.search(plain) for pattern in (SPECIAL_TOKEN, _ANY_TAG, _PIECES, _ROLES))


def remove_special_tokens(text: str) -> str:
    """Replaces special tokens and headings of roles ("### Assistant:") by blanks, until none is left."""
    while (cleaned := _ROLES.sub(" ", SPECIAL_TOKEN.sub(" ", text))) != text:
        text = cleaned
    return text
