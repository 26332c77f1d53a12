"""Who can do a sweep's jobs is known before any of them starts."""

import pytest

from loraexp.config.sweep import Launcher
from loraexp.errors import UserError
from loraexp.sweeps.launchers import crew


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_package_that_is_not_there_is_named(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {package: True}
    monkeypatch.setattr(crew, "find_spec", lambda package: there.get(package))
    crew.check_launcher(Launcher(name=name))
    there.clear()
    crew.check_launcher(Launcher())
    with pytest.raises(UserError, match=rf"launcher={name} needs {package}: pip install 'loraexp"):
        crew.check_launcher(Launcher(name=name))
