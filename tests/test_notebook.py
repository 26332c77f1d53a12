"""The README's Python example and the notebook of docs/, run as they stand."""

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
README, NOTEBOOK = ROOT / "README.md", ROOT / "docs" / "notebook.ipynb"


def test_readme_example_runs_in_at_most_twelve_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 12
    monkeypatch.chdir(tmp_path)
    # the same calls on fewer texts
    names: dict[str, object] = {}
    exec(code.replace('"lora.rank=8"', '"lora.rank=8", "data.limit=24"'), names)
    assert "trainable=" in capsys.readouterr().out
    network = names["network"]
    assert isinstance(network, torch.nn.Module)
    assert not any("branch" in name for name, _ in network.named_parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Jupyter's own packages
def test_the_notebook_runs_in_a_kernel_and_shows_tables(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient").NotebookClient
    notebook = nbformat.read(NOTEBOOK, 4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not kept"
    client(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    last = [own[-1].data["text/html"] for own in outputs if own]
    assert len(last) == 5
    assert all("<table" in html for html in last)
    assert {out.output_type for own in outputs for out in own} == {"display_data", "execute_result"}
    assert all(out.data["text/html"] == "" for own in outputs for out in own[:-1])  # bars are gone
