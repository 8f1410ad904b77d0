"""What needs a GPU runs only where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import GPU_ASKED
from tests.training.conftest import shard_set

__all__ = ["shard_set"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = "needs an NVIDIA GPU: run `make test-gpu`"
    for item in items:
        if not GPU_ASKED and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def on_processor(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Runs something as if there were no GPU."""

    def run(work: Callable[[], None]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(torch.cuda, "is_available", lambda: False)
            work()

    return run
