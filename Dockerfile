# One image: the command line, and the worker that Beam's engines start (Dataflow, Flink, Spark).
#
#   docker build --tag curate --build-arg PYTHON_BASE=python:3.11-slim@sha256:... .
#
# docker/README.md says what the arguments are for, docker/check.sh runs the steps without Docker.
ARG PYTHON_BASE=python:3.11-slim
ARG GO_BASE=golang:1.26

FROM ${GO_BASE} AS boot
# Of the same Beam as lock/core.txt: what starts a worker and tells it where its engine is.
ARG BEAM=2.77.0
RUN GOBIN=/boot go install "github.com/apache/beam/sdks/v2/python/container@v${BEAM}"

FROM ${PYTHON_BASE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ python3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# core, or another file of lock/: gcp for Dataflow, train for the trainer.
ARG LOCK=core
COPY lock/ lock/
RUN python3 -m venv /opt/curate \
    && /opt/curate/bin/pip install --no-cache-dir --require-hashes -r "lock/${LOCK}.txt"
COPY . .
RUN /opt/curate/bin/pip install --no-cache-dir --no-deps . \
    && find /opt/curate -name __pycache__ -prune -exec rm -r {} +

FROM ${PYTHON_BASE}
RUN useradd --create-home --uid 10001 curate
COPY --from=build /opt/curate /opt/curate
COPY --from=boot /boot/container /opt/apache/beam/boot
COPY docker/entrypoint.sh /opt/curate/bin/entrypoint.sh
# A folder of models that recipes name as /opt/models/...: tokenizers, fastText classifiers, CLIP.
ARG MODELS=docker/models
COPY ${MODELS}/ /opt/models/
ENV PATH=/opt/curate/bin:$PATH \
    HOME=/home/curate \
    PYTHONUNBUFFERED=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
USER 10001
WORKDIR /home/curate
ENTRYPOINT ["/opt/curate/bin/entrypoint.sh"]
CMD ["--help"]
