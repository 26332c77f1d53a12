"""loraexp completion: print tab completion of verbs, keys and options for bash, zsh or fish."""

from dataclasses import dataclass

from loraexp.config.keys import one_of

WORD = "shell"


@dataclass
class CompletionConfig:
    """loraexp completion"""

    shell: str = one_of("bash", "bash", "zsh", "fish", lead="whose script is printed: ")


def run(config: CompletionConfig) -> None:
    from loraexp.commands import find_verb, summaries
    from loraexp.config.completion import table
    from loraexp.config.shells import SHELLS

    verbs = map(find_verb, summaries())
    print(SHELLS[config.shell](table(verbs, summaries())), end="")
