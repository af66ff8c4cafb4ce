# The pipeline with models on GPUs: captions, embeddings and verdicts through vLLM, on Ray. Build it from the root of the
# repository:
#
#     docker build --file deploy/docker/gpu.Dockerfile --tag rzen-corpus-gpu .
#
# The base has vLLM of the version that the extra `vllm` allows, with torch, CUDA and a Python of its own.

ARG VLLM=v0.32.0

FROM vllm/vllm-openai:${VLLM}
ARG EXTRAS=ray,s3,hf,video,documents,faiss,pdq,personal-data,tokenizers,vllm
WORKDIR /source
COPY . .
# Without constraints.txt: what the base has pinned stays.
# hadolint ignore=DL3013
RUN python3 -m pip install --no-cache-dir ".[${EXTRAS}]" 'ray[default]' \
    && useradd --create-home --uid 1001 corpus
USER 1001
WORKDIR /home/corpus
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["rzen-corpus"]
CMD ["--help"]
