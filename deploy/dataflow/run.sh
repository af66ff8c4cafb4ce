#!/usr/bin/env bash
# One run of the pipeline on Dataflow:
#
#     PROJECT=p REGION=europe-west4 BUCKET=b IMAGE=... deploy/dataflow/run.sh corpus.yaml
#
# IMAGE is built by deploy/dataflow/Dockerfile and pushed to a registry of the project. The command itself needs the same
# version of this package, with the extra `beam` and the packages `apache-beam[gcp]` and `gcsfs`; it waits for the jobs,
# reads what they wrote and may be run again after it was interrupted. The settings name a workspace gs://...
set -euo pipefail

settings=${1:?usage: run.sh SETTINGS.yaml [options of rzen-corpus run]}
shift
: "${PROJECT:?the project}" "${REGION:?the region}" "${BUCKET:?the bucket of temporary files}" "${IMAGE:?the image of the workers}"

exec rzen-corpus run "$settings" --engine beam --runner DataflowRunner "$@" \
    --project="$PROJECT" \
    --region="$REGION" \
    --temp_location="gs://$BUCKET/temporary" \
    --staging_location="gs://$BUCKET/staging" \
    --sdk_container_image="$IMAGE" \
    --sdk_location=container \
    --experiments=use_runner_v2 \
    --machine_type="${MACHINE_TYPE:-n2-standard-8}" \
    --max_num_workers="${MAX_WORKERS:-50}" \
    --autoscaling_algorithm=THROUGHPUT_BASED \
    --disk_size_gb="${DISK_GB:-100}"
