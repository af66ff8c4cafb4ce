"""The test VLM: a Qwen2-VL of two million weights that reads drawn scenes, and the script that trains it.

Small enough to lie in the repository, and right often enough for a test to say which picture a caption belongs to.
"""

from pathlib import Path

CHECKPOINT = Path(__file__).parent / "checkpoint"  # a folder that vLLM and transformers load as any other model
