"""Run the steps of the Dockerfile in folders instead of images, where no Docker engine runs.

    python docker/check.py DOCKERFILE --base python:3.11-slim=FOLDER --work FOLDER [NAME=VALUE ...]

Reads the Dockerfile itself: FROM, ARG, RUN, COPY, WORKDIR, ENV, USER, ENTRYPOINT and CMD, and stops
at anything else. A stage's base is a root folder of the name's, or of an earlier stage; RUN is a
chroot into it. Prints each step, and at the end the folder of the last stage.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

_STEP = re.compile(r"(FROM|ARG|RUN|COPY|WORKDIR|ENV|USER|ENTRYPOINT|CMD)\s+(.*)", re.S)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OUTSIDE = re.compile(
    r"(?i).*_proxy$|^SSL_CERT_|^PIP_(CERT|INDEX_URL|EXTRA_INDEX_URL|DEFAULT_TIMEOUT)$|^GOPROXY$|^GOFLAGS$|^GOSUMDB$"
)
"""What of this machine's environment a build needs to reach its registries."""


@dataclass
class Stage:
    """One FROM, and what its steps have set."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    workdir: str = "/"
    user: str = "root"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def steps_of(text: str) -> list[tuple[str, str]]:
    """Instructions with their arguments; comments and line ends taken out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = []
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        step = _STEP.fullmatch(line)
        if step is None:
            raise SystemExit(f"check.py does not know how to run: {line}")
        found.append((step[1], step[2]))
    return found


def expand(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda name: values.get(name[1], ""), text)


def ignored_of(context: Path) -> list[str]:
    path = context / ".dockerignore"
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]


def chroot(stage: Stage, command: list[str]) -> list[str]:
    """The command line that runs a command as the stage would."""
    values = {**stage.environment, **{k: v for k, v in os.environ.items() if _OUTSIDE.match(k)}}
    words = [f"{name}={value}" for name, value in {"HOME": "/root", **values}.items()]
    inside = f"cd {shlex.quote(stage.workdir)} && exec {shlex.join(command)}"
    user = ["--userspec", stage.user] if stage.user != "root" else []
    entered = shlex.join(["chroot", *user, str(stage.root), "/bin/sh", "-c", inside])
    # A mount space of its own: what is mounted goes with the command.
    mounted = f"mount -t proc proc {shlex.quote(str(stage.root / 'proc'))} && exec {entered}"
    return ["env", "-i", *words, "unshare", "--mount", "/bin/sh", "-c", mounted]


def copy(
    stage: Stage, source_root: Path, names: list[str], target: str, ignored: list[str]
) -> None:
    """COPY: folders give their contents, as Docker's does."""
    place = stage.root / os.path.join(stage.workdir, target).lstrip("/")

    def leave_out(folder: str, entries: list[str]) -> set[str]:
        base = os.path.relpath(folder, source_root)
        paths = {entry: os.path.normpath(os.path.join(base, entry)) for entry in entries}
        return {
            entry
            for entry, path in paths.items()
            if any(
                fnmatch.fnmatch(path, p) or fnmatch.fnmatch(entry, p.removeprefix("**/"))
                for p in ignored
            )
        }

    for name in names:
        source = source_root / name.strip("/")
        if source.is_dir():
            shutil.copytree(source, place, ignore=leave_out, dirs_exist_ok=True, symlinks=True)
        else:
            to = place / source.name if target.endswith("/") else place
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to)


def build(dockerfile: Path, bases: dict[str, Path], work: Path, arguments: dict[str, str]) -> Stage:
    context = dockerfile.parent
    ignored = ignored_of(context)
    stages: dict[str, Stage] = {}
    global_values: dict[str, str] = {}
    stage: Stage | None = None
    values: dict[str, str] = {}
    for number, (step, rest) in enumerate(steps_of(dockerfile.read_text())):
        print(f"[{number:>2}] {step} {rest}", flush=True)
        if step == "ARG":
            name, _, default = rest.partition("=")
            value = arguments.get(name, global_values.get(name, default))
            (global_values if stage is None else values)[name] = value
        elif step == "FROM":
            image, _, name = expand(rest, global_values).partition(" AS ")
            stage = Stage(root=work / (name or "final"))
            work.mkdir(parents=True, exist_ok=True)
            # A root has device files, which copytree would read to their end.
            base = bases[image.split("@")[0]]
            subprocess.run(["cp", "--archive", str(base), str(stage.root)], check=True)
            values = {}
            stages[name] = stage
        else:
            assert stage is not None
            known = {**stage.environment, **values}
            if step == "RUN":
                subprocess.run(
                    chroot(Stage(**{**vars(stage), "environment": known}), ["/bin/sh", "-c", rest]),
                    check=True,
                    stdin=subprocess.DEVNULL,
                )
            elif step == "COPY":
                *names, target = expand(rest, known).split()
                source = context
                if names[0].startswith("--from="):
                    source = stages[names.pop(0).removeprefix("--from=")].root
                copy(stage, source, names, target, ignored if source == context else [])
            elif step == "WORKDIR":
                stage.workdir = expand(rest, known)
                (stage.root / stage.workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif step == "ENV":
                for word in shlex.split(rest):
                    name, _, value = word.partition("=")
                    stage.environment[name] = expand(value, known)
            elif step == "USER":
                stage.user = rest
            elif step == "ENTRYPOINT":
                stage.entrypoint = json.loads(rest)
            else:
                stage.command = json.loads(rest)
    assert stage is not None
    return stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("dockerfile", type=Path)
    parser.add_argument("--base", action="append", required=True, metavar="IMAGE=FOLDER")
    parser.add_argument("--work", type=Path, required=True, help="where stages are laid out")
    parser.add_argument(
        "--run",
        action="append",
        default=[],
        metavar="ARGUMENTS",
        help="start the image with these arguments, once it is built",
    )
    parser.add_argument("arguments", nargs="*", metavar="NAME=VALUE", help="build arguments")
    given = parser.parse_args()
    bases = {k: Path(v) for k, _, v in (b.partition("=") for b in given.base)}
    arguments = {k: v for k, _, v in (a.partition("=") for a in given.arguments)}
    stage = build(given.dockerfile.absolute(), bases, given.work.absolute(), arguments)
    for words in given.run:
        print(f"$ {words}", flush=True)
        command = [*stage.entrypoint, *(shlex.split(words) or stage.command)]
        done = subprocess.run(chroot(stage, command), check=False)
        if done.returncode:
            sys.exit(f"ended with {done.returncode}")


if __name__ == "__main__":
    main()
