"""An object store in memory that counts."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class CountingStore(MemoryFileSystem):
    """`counting://`: counts by folder how often files are opened to be read and to be written."""

    protocol = "counting"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    opened: ClassVar[Counter[str]] = Counter()
    written: ClassVar[Counter[str]] = Counter()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = super()._strip_protocol(path.removeprefix("counting://"))
        return stripped

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        counted = self.opened if mode == "rb" else self.written
        counted[path.rsplit("/", 1)[0].removeprefix("/run/")] += 1
        return super()._open(path, mode, **options)

    @classmethod
    def empty(cls) -> None:
        """Forget all files and counts."""
        cls.store.clear()
        cls.pseudo_dirs[:] = [""]
        cls.opened.clear()
        cls.written.clear()

    def bytes_below(self, folder: str) -> int:
        """Of the files of `counting://run/FOLDER`."""
        return sum(self.size(path) for path in self.find(f"/run/{folder}"))


fsspec.register_implementation("counting", CountingStore, clobber=True)
