"""Every notebook runs from top to bottom in a kernel of its own, and prints what it printed when it was saved.

``MESONB_REWRITE=1`` saves what was printed now; commit the difference only if you can say why. A cell tagged ``varies``
(the board, for one) is run and not compared.
"""

import difflib
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]-*.ipynb"))


def printed(cell):
    """What a cell printed, as one text."""
    if cell.cell_type != "code" or "varies" in cell.metadata.get("tags", []):
        return ""
    return "".join(output.text for output in cell.get("outputs", []) if output.output_type == "stream")


def keep_printed_only(book):
    """Drop all that a run leaves in a notebook but what compared cells printed, so that saved files stay small."""
    for cell in book.cells:
        if cell.cell_type == "code":
            text = printed(cell)
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)] if text else []
            cell.execution_count = None
            cell.metadata.pop("execution", None)
    book.metadata["language_info"] = {"name": "python"}
    book.metadata.pop("widgets", None)
    return book


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS[:2]] == ["00-first-offer.ipynb", "01-fair-shares.ipynb"]


@pytest.mark.live
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_printed_when_it_was_saved(path, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    saved = nbformat.read(path, as_version=4)
    run = nbformat.read(path, as_version=4)
    NotebookClient(
        run, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    if os.environ.get("MESONB_REWRITE"):
        nbformat.write(keep_printed_only(run), path)
        return
    for number, (before, now) in enumerate(zip(saved.cells, run.cells, strict=True)):
        difference = "\n".join(
            difflib.unified_diff(printed(before).splitlines(), printed(now).splitlines(), "saved", "now", lineterm="")
        )
        assert not difference, f"{path.name}, cell {number} prints something else:\n{difference}"
