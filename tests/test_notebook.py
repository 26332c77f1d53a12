"""The first and the last example of docs/python.md and the notebook beside it, as they stand."""

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
PAGE, NOTEBOOK = ROOT / "docs" / "python.md", ROOT / "docs" / "notebook.ipynb"


def test_a_run_and_a_network_of_ones_own_take_at_most_sixteen_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_, last = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    code = first + last
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 16
    monkeypatch.chdir(tmp_path)
    # the same calls on fewer texts
    names: dict[str, object] = {}
    exec(code.replace('"lora.rank=4"', '"lora.rank=4", "data.limit=24"'), names)
    assert "trainable=" in capsys.readouterr().out
    network = names["network"]
    assert isinstance(network, torch.nn.Module)
    assert not any("branch" in name for name, _ in network.named_parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Jupyter's own packages
def test_the_notebook_runs_in_a_kernel_and_shows_tables(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="pip install nbclient ipykernel")
    client = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel").NotebookClient
    notebook = nbformat.read(NOTEBOOK, 4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not kept"
    client(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    last = [own[-1].data["text/html"] for own in outputs if own]
    assert len(last) == 5
    assert all("<table" in html for html in last)
    assert {out.output_type for own in outputs for out in own} == {"display_data", "execute_result"}
    assert all(out.data["text/html"] == "" for own in outputs for out in own[:-1])  # bars are gone
