"""What begins with a dash behind a verb: Hydra's own flags, taken or refused with the reason."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from loraexp.config.compose import conf_dir
from loraexp.config.quoting import quoted
from loraexp.errors import UserError, cut, listed

# By all its spellings: the one that we use, and whether a value follows.
TAKEN = {
    **dict.fromkeys(("-m", "--multirun"), ("-m", False)),
    **dict.fromkeys(("-c", "--cfg"), ("--cfg", True)),
    **dict.fromkeys(("-p", "--package"), ("--package", True)),
    **dict.fromkeys(("-cd", "--config-dir"), ("--config-dir", True)),
    "--resolve": ("--resolve", False),
}
TAKEN_VALUES = {"--cfg": "job", "--package": "optim", "--config-dir": "DIR"}
ALL = "there are -m, --cfg=job, --config-dir=DIR and --help"
REFUSED = {
    **dict.fromkeys(
        ("-sc", "--shell-completion"),
        "is Hydra's; python -m loraexp completion prints a script for your shell",
    ),
    **dict.fromkeys(
        ("-i", "--info"),
        "is about Hydra itself; --cfg=all shows what is composed, its own settings too",
    ),
    **dict.fromkeys(("-cn", "--config-name"), "would name a config; the verb does"),
    **dict.fromkeys(
        ("-cp", "--config-path"),
        "would replace our config folder; --config-dir=DIR puts one of yours beside it",
    ),
    **dict.fromkeys(("-r", "--run"), "is what happens without it; leave it out"),
    "--hydra-help": "is about Hydra itself; --help lists the keys of a verb",
    "--experimental-rerun": "needs a pickle, and nothing is unpickled; type the command again",
    "--version": "stands without a verb: python -m loraexp --version",
}
WHAT = ("job", "hydra", "all")  # --cfg prints
SEARCHPATH = "hydra.searchpath"


@dataclass(frozen=True)
class Flags:
    """
    Args:
        multirun: make a sweep.
        shown: those by which Hydra prints the config, as it takes them.
        folders: config folders of one's own, after which ours are looked through.
    """

    multirun: bool = False
    shown: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()


def read_flags(arguments: Sequence[str]) -> tuple[Flags, list[str]]:
    """The flags, and the overrides, with the config folders as one of them.

    Raises:
        UserError: an unknown flag, one that is refused, or a folder that is not there.
    """
    given = [*split(arguments)]
    overrides = [text for flag, text in given if not flag and not text.startswith(SEARCHPATH + "=")]
    searched = [text for flag, text in given if not flag and text.startswith(SEARCHPATH + "=")]
    folders = [folder_of(value, "--config-dir") for flag, value in given if flag == "--config-dir"]
    for text in searched:
        folders += [folder_of(part, SEARCHPATH) for part in paths_in(text.partition("=")[2])]
    if folders:
        paths = ",".join(quoted(f"file://{folder}") for folder in folders)
        overrides.append(f"{SEARCHPATH}=[{paths}]")
    multirun = any(flag == "-m" for flag, _ in given)
    return Flags(multirun, shown_of(given), tuple(folders)), overrides


def paths_in(typed: str) -> list[str]:
    """The folders of a search path, or the only one."""
    try:
        value = yaml.safe_load(typed)
    except yaml.YAMLError:
        value = typed
    return [*map(str, value if isinstance(value, list) else [typed])]


def split(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each flag with its value, and what is none under no name."""
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            yield "", argument
            continue
        typed, equals, value = argument.partition("=")
        if typed in REFUSED:
            raise UserError(f"{typed} {REFUSED[typed]}")
        if typed not in TAKEN:
            raise UserError(f"unknown flag {cut(argument)!r}: {ALL}")
        flag, takes = TAKEN[typed]
        if equals and not takes:
            raise UserError(f"{typed} takes no value, got {cut(value)}")
        if takes and not equals:
            value = next(rest, "")
        if takes and not value:
            raise UserError(f"{typed} needs a value: {typed}={TAKEN_VALUES[flag]}")
        yield flag, value


def shown_of(given: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """--cfg with what belongs to it."""
    flags = {flag: value for flag, value in given if flag in ("--cfg", "--package", "--resolve")}
    if flags and "--cfg" not in flags:
        raise UserError(f"{next(iter(flags))} needs --cfg=job beside it")
    if flags and flags["--cfg"] not in WHAT:
        raise UserError(f"--cfg must be {listed(WHAT)}, got {cut(flags['--cfg'])}")
    return tuple(f"{flag}={value}" if value else flag for flag, value in flags.items())


def folder_of(typed: str, key: str) -> Path:
    """A config folder of one's own.

    Raises:
        UserError: there is none, it is in a package, or it has no folder that is called as a group.
    """
    if "://" in typed and not typed.startswith("file://"):
        raise UserError(f"{key} takes folders, got {cut(typed)}")
    folder = Path(typed.removeprefix("file://")).expanduser().absolute()
    if not folder.is_dir():
        raise UserError(f"{key}={typed}: no such folder")
    groups = sorted(path.name for path in conf_dir().iterdir() if path.is_dir())
    if not any((folder / group).is_dir() for group in groups):
        raise UserError(f"{key}={typed}: no folder in it is a group: {listed(groups, 20)}")
    return folder
