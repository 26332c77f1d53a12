"""What a key of the configuration is: its type, its one default, its rule and its line of help."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, cast, get_args

FLOAT32 = 3.4e38  # the largest number that a tensor takes, nearly


def key(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    path: bool = False,
    text: bool = False,
) -> Any:
    """A dataclass field that carries its help line and the rule its value must meet; of a `path`
    a leading ~ is the home folder; a `text` is taken as typed, commas, quotes, brackets and all."""
    rule = {"help": help, "choices": choices, "least": least, "above": above, "most": most}
    rule |= {"path": path, "text": text}
    if is_dataclass(default):
        return field(default_factory=cast(Any, type(default)), metadata=rule)
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=rule)
    return field(default=default, metadata=rule)


def one_of(default: str, *options: str, lead: str = "") -> Any:
    """A key that takes one of these words; what stands after an option's first word is help."""
    choices = tuple(option.partition(" ")[0] for option in options)
    return key(default, f"{lead}{' | '.join(options)}", choices=choices)


def seed_key(default: int, help: str) -> Any:
    """A key for a seed: any that numpy's and torch's generators take."""
    return key(default, help, least=0, most=2**32 - 1)


def workers_key(default: str) -> Any:
    """A key for a number of processes; text, for it may be a word."""
    return key(
        default,
        "processes that do a sweep's jobs side by side, cores or GPUs shared out: a number, or "
        "auto (one a core, or a GPU, where the jobs take longer than to start them)",
    )


@dataclass(frozen=True)
class Verb:
    """A verb of the command line and the dataclass that has its keys.

    Args:
        word: the key whose value may stand behind the verb without its name.
    """

    name: str
    schema: type[Any]
    word: str | None = None

    def spelled_out(self, arguments: Sequence[str]) -> list[str]:
        """`sweep status` is `sweep action=status`."""
        first, *rest = [*arguments, ""]
        if self.word and first and "=" not in first and not first.startswith("-"):
            return [f"{self.word}={first}", *rest[:-1]]
        return [*arguments]


def keys(schema: type[Any], prefix: str = "") -> Iterator[tuple[str, Field[Any]]]:
    """Every leaf key of a schema: (dotted key, its field); a group that may be null counts too."""
    for f in fields(schema):
        group = group_in(f.type)
        if group is None:
            yield prefix + f.name, f
        else:
            yield from keys(group, f"{prefix}{f.name}.")


def default_of(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def group_in(kind: Any) -> type[Any] | None:
    """The dataclass in an annotation: Data in `Data` and in `Data | None`."""
    return next((t for t in (kind, *get_args(kind)) if is_dataclass(t)), None)  # type: ignore[return-value]


def walk(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Every leaf key of a config object: (dotted key, value, its rule)."""
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            yield from walk(value, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, value, f.metadata
