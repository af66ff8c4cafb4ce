"""The files of deploy/: linters find nothing, Kubernetes' own schemas hold, and the batch script starts a real Ray."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from corpus.settings import parse_settings
from pipelines.config import Config
from tests.helpers import extras

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted(path for path in DEPLOY.rglob("*") if path.name.endswith("Dockerfile"))
SCRIPTS = sorted(path for path in DEPLOY.rglob("*") if path.suffix in (".sh", ".sbatch"))

# KubeRay's fields as its reference has them, of those that a job may use; a pod template is Kubernetes' own.
OBJECT = {"type": "object", "additionalProperties": False}
GROUP = {
    "rayStartParams": {"type": "object", "additionalProperties": {"type": "string"}},
    "template": {"type": "object"},
    "resources": {"type": "object"},
    "labels": {"type": "object"},
}
COUNT = {"type": "integer", "minimum": 0}
WORKERS = {
    "groupName": {"type": "string"},
    "replicas": COUNT,
    "minReplicas": COUNT,
    "maxReplicas": COUNT,
    "numOfHosts": COUNT,
    "idleTimeoutSeconds": COUNT,
    "suspend": {"type": "boolean"},
    "scaleStrategy": {"type": "object"},
}
AUTOSCALER = {
    "version": {"enum": ["v1", "v2"]},
    "upscalingMode": {"enum": ["Default", "Aggressive", "Conservative"]},
    "idleTimeoutSeconds": COUNT,
    "image": {"type": "string"},
    "resources": {"type": "object"},
}
CLUSTER = {
    "rayVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    "enableInTreeAutoscaling": {"type": "boolean"},
    "autoscalerOptions": {**OBJECT, "properties": AUTOSCALER},
    "headGroupSpec": {**OBJECT, "required": ["template"], "properties": {**GROUP, "serviceType": {"type": "string"}}},
    "workerGroupSpecs": {
        "type": "array",
        "items": {**OBJECT, "required": ["groupName", "template"], "properties": {**GROUP, **WORKERS}},
    },
}
JOB = {
    "entrypoint": {"type": "string"},
    "runtimeEnvYAML": {"type": "string"},
    "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    "shutdownAfterJobFinishes": {"type": "boolean"},
    "ttlSecondsAfterFinished": COUNT,
    "activeDeadlineSeconds": COUNT,
    "backoffLimit": COUNT,
    "suspend": {"type": "boolean"},
    "submitterPodTemplate": {"type": "object"},
    "rayClusterSpec": {**OBJECT, "required": ["headGroupSpec"], "properties": CLUSTER},
}


def tool(name: str) -> str:
    """The path of a program that a package of the extra `dev` brings."""
    path = Path(sys.executable).parent / name
    if not path.exists() and not extras.complete:
        pytest.skip(f"not installed: {name}")
    return str(path)


def test_dockerfiles_pass_the_linter() -> None:
    assert len(DOCKERFILES) == 3
    done = subprocess.run([tool("hadolint"), *map(str, DOCKERFILES)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_scripts_pass_the_linter() -> None:
    assert len(SCRIPTS) == 2
    done = subprocess.run([tool("shellcheck"), *map(str, SCRIPTS)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
    assert all(os.access(path, os.X_OK) for path in SCRIPTS)


def test_the_build_context_has_all_of_the_package() -> None:
    """What .dockerignore lets through is what the wheel is made of."""
    lines = (ROOT / ".dockerignore").read_text().split()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    wanted = re.findall(r"only-include = \[(.*)\]", (ROOT / "pyproject.toml").read_text())[0]
    assert set(re.findall(r'"([^"]+)"', wanted)) <= kept
    assert all((ROOT / name).exists() for name in kept)
    made = re.findall(r"mkdir (.*) \\", (DEPLOY / "docker/Dockerfile").read_text())[0].split()
    assert set(made) == {name for name in re.findall(r'"([^"]+)"', wanted) if not name.endswith(".py")}


def test_images_ask_for_extras_and_versions_that_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    for path in DOCKERFILES:
        [line] = re.findall(r"^ARG EXTRAS=(.*)$", path.read_text(), re.MULTILINE)
        assert [name for name in line.split(",") if not re.search(rf"^{name} = \[", project, re.MULTILINE)] == []
    assert f"ARG BEAM={pins['apache-beam']}" in (DEPLOY / "dataflow/Dockerfile").read_text()
    assert f'rayVersion: "{pins["ray"]}"' in (DEPLOY / "kuberay/rayjob.yaml").read_text()
    minor = re.findall(r"vllm>=([\d.]+)", project)[0]
    assert f"ARG VLLM=v{minor}" in (DEPLOY / "docker/gpu.Dockerfile").read_text()


def documents() -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings' ConfigMap and the job."""
    settings, job = yaml.safe_load_all((DEPLOY / "kuberay/rayjob.yaml").read_text())
    return settings, job


def test_the_job_is_valid_for_kubernetes() -> None:
    extras.installed_or_skip("jsonschema", "kubernetes_validate")
    import jsonschema
    import kubernetes_validate

    settings, job = documents()
    kubernetes_validate.validate(settings, "1.33", strict=True)
    jsonschema.validate(job["spec"], {**OBJECT, "required": ["entrypoint"], "properties": JOB})
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
        kubernetes_validate.validate(pod, "1.33", strict=True)
        [container] = group["template"]["spec"]["containers"]
        volumes = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert container["resources"]["requests"] == container["resources"]["limits"]
    pod["spec"]["containers"][0]["resource"] = {}  # what would be a slip is found
    with pytest.raises(jsonschema.ValidationError):
        kubernetes_validate.validate(pod, "1.33", strict=True)


def test_the_job_runs_settings_that_are_valid_and_groups_begin_at_zero() -> None:
    settings, job = documents()
    [(name, text)] = settings["data"].items()
    config = parse_settings(yaml.safe_load(text), Config, name)
    assert config.engine.kind == "ray" and config.engine.address == "auto"
    assert job["spec"]["entrypoint"] == f"rzen-corpus run /settings/{name}"
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    gpus = [group for group in cluster["workerGroupSpecs"] if "nvidia.com/gpu" in json.dumps(group)]
    assert [(group["replicas"], group["minReplicas"]) for group in gpus] == [(0, 0)]


def test_the_options_of_dataflow_are_known_to_beam() -> None:
    extras.installed_or_skip("apache_beam")
    from apache_beam.options.pipeline_options import (
        DebugOptions,
        GoogleCloudOptions,
        PipelineOptions,
        SetupOptions,
        WorkerOptions,
    )

    text = (DEPLOY / "dataflow/run.sh").read_text()
    names = re.findall(r"--([a-z_]+)=", text)
    values = {"autoscaling_algorithm": "THROUGHPUT_BASED", "experiments": "x"}
    options = PipelineOptions([f"--{name}={values.get(name, '1')}" for name in names])
    views = [options.view_as(view) for view in (DebugOptions, GoogleCloudOptions, SetupOptions, WorkerOptions)]
    known = set().union(*(view.get_all_options(drop_default=True) for view in views))
    assert len(names) > 5 and set(names) - known - {"machine_type"} == set()
    assert options.view_as(WorkerOptions).machine_type == "1"


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """An environment like that of a Slurm job with two nodes, in which commands are run at once.

    Ray's own command is a stand-in: it would stop every Ray of this machine when it ends.
    """
    commands = {
        "scontrol": "printf 'node7\\nnode8\\n'",
        "srun": 'while [[ "$1" == --* ]]; do shift; done; exec "$@"',
        "ray": 'echo "ray $*"; while [[ "$1" != -- ]]; do shift; done; shift; exec "$@"',
        "rzen-corpus": 'echo "rzen-corpus $*"; exit 3',
    }
    for name, body in commands.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "41007", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_NUM_NODES": "2"}
    return {**os.environ, **job, "SLURM_CPUS_ON_NODE": "64", "PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_the_batch_script_runs_the_command_on_all_nodes_and_passes_its_exit_code_on(slurm: dict[str, str]) -> None:
    script = [str(DEPLOY / "slurm/rzen-corpus.sbatch"), "my corpus.yaml", "--stage", "download"]
    done = subprocess.run(script, env=slurm, capture_output=True, text=True, timeout=60, check=False)
    ray, command = done.stdout.splitlines()
    assert command == "rzen-corpus run my corpus.yaml --stage download"
    assert ray.startswith("ray symmetric-run --address node7:21007 --min-nodes 2 --num-cpus=64 ")
    assert done.returncode == 3, "the exit code is the command's"


def test_ray_has_the_command_that_the_batch_script_calls() -> None:
    extras.installed_or_skip("ray")
    from ray.scripts.symmetric_run import symmetric_run

    assert {"address", "min_nodes"} <= {parameter.name for parameter in symmetric_run.params}
