#!/bin/sh
# Engines start a worker with Beam's flags (--id=..., --worker_pool); people give a command.
# A job's folder may hold packages with the names of ours.
export PYTHONSAFEPATH=1
case "${1:-}" in
    --id=* | --worker_pool | --worker_pool=* | --logging_endpoint=* | --control_endpoint=*)
        exec /opt/apache/beam/boot "$@"
        ;;
    *)
        exec curate "$@"
        ;;
esac
