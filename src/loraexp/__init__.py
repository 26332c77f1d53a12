"""loraexp: config-driven LoRA experiments on GPT-2 text classifiers.

The names below are all that a notebook needs; each is imported when it is first used, so that
`import loraexp` costs nothing. It configures the process (threads, memory) for all that follows:
command line, notebook and every launcher's worker alike.
"""

from importlib import import_module
from typing import Any

from loraexp.runtime.process import configure_process

_WHERE = {
    "configure": "loraexp.api",
    "load_base": "loraexp.api",
    "Predictor": "loraexp.inference.predictor",
    "inject": "loraexp.adapters.inject",
    "count": "loraexp.adapters.inject",
    "merge": "loraexp.adapters.inject",
    "fold": "loraexp.adapters.inject",
    "unfold": "loraexp.adapters.inject",
    "Predictors": "loraexp.inference.predictor",
    "MultiAdapter": "loraexp.inference.multi_adapter",
    "save_adapter": "loraexp.adapters.adapter_files",
    "load_adapter": "loraexp.adapters.adapter_files",
    "train": "loraexp.api",
    "sweep": "loraexp.api",
    "table": "loraexp.api",
    "fit": "loraexp.api",
    "LoraClassifier": "loraexp.estimator",
    "load_run": "loraexp.runs.load",
    "run_folder": "loraexp.api",
    "METHODS": "loraexp.adapters.methods",
    "UserError": "loraexp.errors",
}

__all__ = sorted(_WHERE)
configure_process()


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'loraexp' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return __all__
