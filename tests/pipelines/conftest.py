from __future__ import annotations

import pytest

from tests.counting_store import CountingStore


@pytest.fixture
def store() -> CountingStore:
    CountingStore.empty()
    return CountingStore()
