"""Functions: where the pickled functions of an agent's tasks are kept: files, named by digest, that its children read."""

from __future__ import annotations

from pathlib import Path


class Functions:
    """Keeps pickled functions in a folder."""

    functions: Path  #: the folder

    def learn(self, digest: bytes, function: bytes) -> None:
        """Keep a pickled function where children find it, whole or not at all; OSError if there is no room."""
        path = self.functions / digest.hex()
        if not path.exists():
            draft = path.with_suffix(".new")
            draft.write_bytes(function)
            draft.replace(path)

    def function(self, digest: bytes) -> bytes:
        """Return a pickled function that was learned before."""
        return (self.functions / digest.hex()).read_bytes()
