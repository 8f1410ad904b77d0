#!/bin/sh
# Engines start a worker with Beam's flags (--id=..., --worker_pool); people give a command.
case "${1:-}" in
    --id=* | --worker_pool | --worker_pool=* | --logging_endpoint=* | --control_endpoint=*)
        exec /opt/apache/beam/boot "$@"
        ;;
    *)
        exec curate "$@"
        ;;
esac
