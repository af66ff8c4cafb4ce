"""The test VLM: a Qwen2-VL of two million weights that captions drawn scenes, and the script that trains it.

It is small enough for the repository, and accurate enough to tell in a test which picture a caption belongs to.
"""

from pathlib import Path

CHECKPOINT = Path(__file__).parent / "checkpoint"  # a folder that vLLM and transformers load as any other model
EMBEDDER = Path(__file__).parent / "embedder"  # likewise: embeds captions and scenes, as RzenEmbed does
