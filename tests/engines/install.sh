#!/usr/bin/env bash
# Everything that the engine tests start, into one folder: install.sh FOLDER
#   FOLDER/spark-job-server.jar, flink-job-server.jar   Beam's job servers (pom.xml)
#   FOLDER/bin/prism, bin/boot                          Beam's Prism runner and its worker boot
#   FOLDER/bin/fake-gcs-server                          a Google Cloud Storage of one machine
#   FOLDER/venv                                         distributions of Spark and of Flink
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/bin"
to=$(cd "$1" && pwd)
uv=$here/../../.venv/bin/uv
beam=$("$here/../../.venv/bin/python" -c 'import apache_beam; print(apache_beam.__version__)')

need() {
    command -v "$1" > /dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        apt-get update -qq && apt-get install -qq --yes --no-install-recommends "$2" > /dev/null
    else
        echo "The engine tests need $1: install it (Debian's package is $2) and try again." >&2
        exit 1
    fi
}
need java openjdk-17-jre-headless
need mvn maven
need go golang

python3 -m venv "$to/venv"
VIRTUAL_ENV=$to/venv "$uv" pip install --quiet --require-hashes -r "$here/../../lock/engines.txt"
for engine in spark flink; do
    (cd "$here" && mvn --batch-mode --quiet -Dmaven.wagon.http.retryHandler.count=5 \
        "-P$engine" "-DbuildDirectory=$to/$engine" package)
    cp "$to/$engine/$engine-job-server.jar" "$to/$engine-job-server.jar"
    rm -r "${to:?}/$engine"
done
modules=github.com/apache/beam/sdks/v2
GOBIN=$to/bin go install "$modules/go/cmd/prism@v$beam" "$modules/python/container@v$beam"
mv "$to/bin/container" "$to/bin/boot"
GOBIN=$to/bin go install github.com/fsouza/fake-gcs-server@v1.56.1
