"""The modules of this project, by floor."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
MIDDLE = ("filters", "recaption", "video", "mining")
FLOORS = {
    "corpus": {"corpus"},
    "serving": {"corpus", "serving"},
    **{room: {"corpus", "serving", room} for room in MIDDLE},
    "pipelines": {"corpus", "serving", *MIDDLE, "pipelines"},
    "demo": {"corpus", "serving", *MIDDLE, "pipelines", "demo"},
}
HEAVY = {"torch", "transformers", "sentence_transformers", "faiss", "open_clip", "vllm"}
HEAVY |= {"ray", "apache_beam", "av", "scenedetect", "img2dataset"}
# The modules that are there for a heavy one's sake. They in turn are imported inside functions, or by each other.
AT_HOME = {
    "pipelines/engines/ray.py": {"ray"},
    "pipelines/engines/ray_cluster.py": {"ray"},
    "pipelines/engines/ray_host.py": {"ray"},
    "pipelines/engines/beam.py": {"apache_beam"},
    "pipelines/engines/beam_functions.py": {"apache_beam"},
    "serving/vllm/engine.py": {"vllm"},
    "serving/vllm/pooling.py": {"vllm"},
}
HOMES = {path.removesuffix(".py").replace("/", ".") for path in AT_HOME}
MODULES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
