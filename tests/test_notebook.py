"""The README's Python example, run as it stands."""

import re
from pathlib import Path

import pytest
import torch

README = Path(__file__).parents[1] / "README.md"


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
