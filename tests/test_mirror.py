"""Tests lie where modules do: `tests/<folder>/test_<module>.py`, or `test_<module>_<topic>.py` for one of several.

A package's own code, in its `__init__.py`, is tested by a file that is named after it.
"""

from __future__ import annotations

from pathlib import Path

from tests.helpers.modules import FLOORS, MODULES, ROOT

TESTS = ROOT / "tests"

# Modules without a test file of their own, or folders of them: what tests them instead.
TESTED_BY = {
    # What happens around a stage, tested with jobs.
    "corpus/bisection.py": "corpus/test_execution.py",
    "corpus/pending_file.py": "corpus/test_storage.py",
    "corpus/storage_error.py": "corpus/test_outages.py",
    # Schemas, protocols and settings alone: tested with what fills them.
    "filters/decontamination/evaluation.py": "filters/decontamination/test_leaks.py",
    "filters/text/pair_rules.py": "filters/text/test_pair_filter.py",
    "mining/encoders/base.py": "mining/test_embed_worker.py",
    "mining/encoders/descriptor.py": "mining/test_embed.py",
    "mining/settings.py": "mining/test_neighbours.py",
    "pipelines/observers/base.py": "pipelines/observers/test_run_observers.py",
    "pipelines/observers/settings.py": "pipelines/observers/test_run_observers.py",
    "pipelines/pairs/base.py": "pipelines/pairs/test_image_text.py",
    "pipelines/engines/item_queue.py": "pipelines/engines/test_dispatcher.py",
    "pipelines/engines/open_job.py": "pipelines/engines/test_inline.py",
    "pipelines/engines/queue_engine.py": "pipelines/engines/test_engines.py",
    "pipelines/engines/worker_record.py": "pipelines/engines/test_dispatcher.py",
    "pipelines/engines/workers.py": "pipelines/engines/test_dispatcher.py",
    "recaption/schema.py": "recaption/test_stage.py",
    "serving/request.py": "serving/openai/test_chat.py",
    "video/schema.py": "video/stages/test_clips.py",
    # Processes of their own, and commands: tested from outside.
    "demo/__main__.py": "demo/test_run.py",
    "pipelines/cli.py": "runs/test_cli.py",
    "pipelines/command_line.py": "pipelines/commands/test_running.py",
    "pipelines/commands/files.py": "pipelines/test_templates.py",
    "pipelines/commands/looking.py": "pipelines/commands/test_running.py",
    "pipelines/reference/__main__.py": "pipelines/reference/test_site.py",
    "pipelines/report/machine.py": "pipelines/commands/test_running.py",
    "pipelines/runner.py": "runs/test_run.py",
    "pipelines/engines/beam_worker.py": "pipelines/engines/test_beam.py",
    "pipelines/engines/process_worker.py": "pipelines/engines/test_local.py",
    "pipelines/sources/images/pdf_worker.py": "pipelines/sources/images/test_pdf.py",
    "serving/vllm/server_main.py": "serving/vllm/test_server.py",
    # What needs torch or vLLM, in an environment of its own.
    "demo/vlm/run.py": "models/test_vlm_checkpoint.py",
    "demo/vlm/training/": "models/test_vlm_checkpoint.py",
    "mining/encoders/local_model.py": "models/test_encoders_sentence.py",
    "mining/encoders/openclip.py": "models/test_encoders_openclip.py",
    "mining/encoders/sentence_transformers.py": "models/test_encoders_sentence.py",
    "serving/local_model.py": "models/test_encoders_sentence.py",
    "serving/openclip.py": "models/test_encoders_openclip.py",
    "mining/encoders/torchscript.py": "models/test_encoders_torchscript.py",
    "serving/transformers_client.py": "models/test_pooling.py",
    "serving/vllm/engine.py": "models/test_engine_vllm.py",
    "serving/vllm/pooling.py": "models/test_pooling.py",
    "serving/vllm/torchvision_shim.py": "models/test_vlm_checkpoint.py",
    # Parts of one computation, tested as a whole against a plain one.
    "pipelines/engines/ray_tasks.py": "pipelines/engines/test_entry.py",
    "pipelines/engines/beam_functions.py": "pipelines/engines/test_beam.py",
    "mining/candidates.py": "mining/test_neighbours.py",
    "mining/dataset_index.py": "runs/test_run_mining.py",
    "mining/item_vectors_worker.py": "mining/test_item_vectors.py",
    "mining/known_vectors.py": "mining/test_item_vectors.py",
    "mining/neighbour_scores.py": "mining/test_neighbours.py",
    "mining/pool_blocks.py": "mining/test_similarities.py",
    "serving/side_images.py": "mining/test_embed.py",
    "mining/side_vectors.py": "mining/test_embed_worker.py",
    "mining/sides.py": "mining/test_embed.py",
    "pipelines/table_planner.py": "pipelines/test_plan.py",
    "pipelines/publish/sample_schema.py": "pipelines/publish/test_sample.py",
    "pipelines/search.py": "runs/test_run_mining.py",
    "pipelines/search_sheet.py": "runs/test_run_mining.py",
    "serving/openai/embeddings.py": "mining/encoders/test_openai.py",
    "serving/openai/exchange.py": "serving/openai/test_client.py",
    # What draws the demo's worlds: tested by the worlds that it makes.
    "demo/films/": "demo/films/test_films.py",
    "demo/images/": "demo/images/test_world.py",
    "demo/pairs/": "demo/pairs/test_sets.py",
}


def own_tests(module: Path) -> list[Path]:
    """Returns the test files of a module, by their names."""
    folder = TESTS / module.parent
    name = module.parent.name if module.name == "__init__.py" else module.stem
    return [*folder.glob(f"test_{name}.py"), *folder.glob(f"test_{name}_*.py")]


def stand_in(module: Path) -> str:
    """Returns the entry of TESTED_BY for a module: its own, or that of its folder; "" for none."""
    return next((key for key in (str(module), f"{module.parent}/") if key in TESTED_BY), "")


def _modules() -> list[Path]:
    return [path.relative_to(ROOT) for path in MODULES]


def test_every_module_has_its_tests() -> None:
    untested = [
        str(module)
        for module in _modules()
        if module.name != "__init__.py" and not own_tests(module) and not stand_in(module)
    ]
    assert untested == [], "add tests/<folder>/test_<module>.py, or say in TESTED_BY what tests it"


def test_every_test_has_its_module() -> None:
    known = {test for module in _modules() for test in own_tests(module)}
    found = {test for floor in FLOORS for test in (TESTS / floor).rglob("test_*.py")}
    assert {str(test.relative_to(TESTS)) for test in found - known} == set()


def test_what_stands_in_is_needed_and_there() -> None:
    needed = {stand_in(module) for module in _modules() if module.name != "__init__.py" and not own_tests(module)}
    assert set(TESTED_BY) == needed - {""}, "these have tests of their own"
    assert [test for test in TESTED_BY.values() if not (TESTS / test).is_file()] == []
