"""What a Dataflow job needs, checked before anything is submitted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from curate.schemas.errors import UsageError

_JOB_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_FOLDER = re.compile(r"gs://[a-z0-9][-_a-z0-9.]+[a-z0-9](/.*)?")
_PROJECT = re.compile(r"([a-z0-9-.]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]")
_MACHINE_TYPE = re.compile(r"(custom|[a-z]\d[a-z]?)-[a-z0-9-]+")


def check_options(given: Sequence[str]) -> None:
    """Check the Beam options of a Dataflow run.

    Raises:
        UsageError: naming every option that is missing or can't be right.
    """
    from apache_beam.options.pipeline_options import (
        GoogleCloudOptions,
        PipelineOptions,
        WorkerOptions,
    )

    _require_package()
    options = PipelineOptions(list(given))
    cloud, workers = options.view_as(GoogleCloudOptions), options.view_as(WorkerOptions)
    problems = []
    for name, value, what in (
        ("project", cloud.project, "the Google Cloud project"),
        ("region", cloud.region, "where workers run, for example us-central1"),
        ("temp_location", cloud.temp_location, "a gs:// folder for temporary files"),
        (
            "sdk_container_image",
            workers.sdk_container_image,
            "an image with curate in it, see Dockerfile",
        ),
    ):
        if not value:
            problems.append(f"--{name} is missing ({what})")
    for name in ("temp_location", "staging_location"):
        value = getattr(cloud, name)
        if value and not _FOLDER.fullmatch(value):
            problems.append(f"--{name} must be a folder like gs://bucket/folder (got {value})")
    if cloud.project and not _PROJECT.fullmatch(cloud.project):
        problems.append(
            f"--project must be a project's id, like my-project-123 (got {cloud.project})"
        )
    if cloud.job_name and not _JOB_NAME.fullmatch(cloud.job_name):
        problems.append(
            f"--job_name must be letters a-z, digits and '-', a letter first (got {cloud.job_name})"
        )
    if workers.machine_type and not _MACHINE_TYPE.fullmatch(workers.machine_type):
        problems.append(
            f"--worker_machine_type must be one like n2-standard-8 (got {workers.machine_type})"
        )
    most, first = workers.max_num_workers, workers.num_workers
    if most and first and first > most:
        problems.append(f"--num_workers {first} is more than --max_num_workers {most}")
    if workers.autoscaling_algorithm == "NONE" and not first:
        problems.append("--autoscaling_algorithm=NONE needs --num_workers")
    if problems:
        raise UsageError(
            f"--runner dataflow: {'; '.join(problems)}. Give Beam options after `--`; "
            "docs/engines.md shows a whole command."
        )


def check_places(out: str, inputs: Sequence[str]) -> None:
    """Check that Dataflow's workers can reach what is read and written.

    Raises:
        UsageError: a path is on this machine's disk.
    """
    here = [place for place in (out, *inputs) if "://" not in place or place.startswith("file:")]
    if here:
        more = f" and {len(here) - 1} more" if len(here) > 1 else ""
        raise UsageError(
            f"--runner dataflow: {here[0]}{more} is on this machine, which Dataflow's workers "
            "can't see. Put inputs and --out on gs:// or s3://."
        )


def _require_package() -> None:
    try:
        import apache_beam.runners.dataflow.internal.apiclient  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--runner dataflow needs a package that is not installed: {error}. "
            "The extra `gcp` of curate-pretraining brings it."
        ) from error
