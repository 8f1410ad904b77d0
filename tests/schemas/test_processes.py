from __future__ import annotations

import subprocess
from pathlib import Path

from curate.schemas.processes import python_module, safe_environment


def test_packages_of_the_current_folder_do_not_take_our_place(tmp_path: Path) -> None:
    for name in ("schemas", "media", "filters", "curate"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "pipelines.py").write_text("raise SystemExit('shadowed')")
    told = subprocess.run(
        python_module("curate.media.decoder_process"),
        cwd=tmp_path,
        env=safe_environment(),
        input="{}",
        capture_output=True,
        text=True,
    )
    assert "KeyError: 'rules'" in told.stderr
