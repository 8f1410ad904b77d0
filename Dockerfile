# One image that serves as the command line and as a Beam SDK worker's Python environment.
# BASE takes a digest: --build-arg BASE=python:3.11-slim@sha256:...
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY lock/core.txt lock/core.txt
RUN python -m venv /opt/curate && /opt/curate/bin/pip install --no-cache-dir --require-hashes -r lock/core.txt
COPY . .
RUN /opt/curate/bin/pip install --no-cache-dir --no-deps .

FROM ${BASE}
RUN useradd --create-home curate
COPY --from=build /opt/curate /opt/curate
ENV PATH=/opt/curate/bin:$PATH
USER curate
WORKDIR /home/curate
ENTRYPOINT ["curate"]
CMD ["--help"]
