#!/usr/bin/env bash
# Prove the Dockerfile where no Docker engine runs: lint it, run its steps in a Debian root made by
# debootstrap, and use the result as its users would. Needs root, Go and about 5 GB.
#   docker/check.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mkdir -p "${1:-/tmp/curate-image}" && cd "${1:-/tmp/curate-image}" && pwd)
command -v debootstrap > /dev/null || { apt-get update -qq && apt-get install -qq --yes debootstrap > /dev/null; }

echo "== lint"
python3 -m venv "$work/lint"
"$work/lint/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r lock/docker.txt
"$work/lint/bin/hadolint" --ignore DL3008 Dockerfile
sh -n docker/entrypoint.sh

echo "== bases"
if [ ! -e "$work/python/.done" ]; then
    rm -rf "$work/python" "$work/go"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$work/python" > "$work/debootstrap.log"
    for file in /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
        [ ! -e "$file" ] || install -D -m 644 "$file" "$work/python$file"
    done
    cp -a "$work/python" "$work/go"
    cp -aL "$(go env GOROOT)" "$work/go/usr/local/go"
    ln -s ../go/bin/go "$work/go/usr/local/bin/go"
    touch "$work/python/.done"
fi

echo "== build"
rm -rf "$work/image"
python3 docker/check.py Dockerfile --work "$work/image" \
    --base "python:3.11-slim=$work/python" --base "golang:1.26=$work/go" \
    --run "" --run "recipe list" --run "demo --out /tmp/demo --workers 2"
base=$(du -sm "$work/python" | cut -f1)
whole=$(du -sm --exclude=tmp "$work/image/final" | cut -f1)
echo "size: $whole MB, $((whole - base)) MB of them above its base"
