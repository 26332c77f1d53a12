"""sms_demo: a generated English SMS spam set, so that a first run needs no download.

What is learnt from it must hold for messages that people wrote, and words alone must not give the
label away. So there are many kinds of spam and of small talk; prizes, codes, fees and links fill
both classes; and some messages turn on who asks whom for what, in the same words: check before you
pay (ham) or pay before you check (spam); ham that quotes spam, spam that opens with small talk.

Every number is from a range reserved for fiction, every domain from RFC 2606, every firm invented,
and none of it is copied from messages that anyone sent. The phrases are in sms_demo/*.txt.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

Rules = dict[str, list[str]]


@dataclass(frozen=True)
class Register:
    """How a kind of writer types: the share of messages in lower case, in text-speak, with a
    sentence in capitals, and without spaces between sentences."""

    lower: float
    text_speak: float
    loud: float
    squeezed: float


CHATTY, FORMAL = Register(0.1, 0.5, 0.2, 0.3), Register(0.05, 0.1, 0.02, 0.05)
LOUD = Register(0.08, 0.4, 0.4, 0.2)

# How many messages of each family of phrases.
FAMILIES: dict[tuple[str, Register], dict[str, int]] = {
    ("ham", CHATTY): {
        "brief": 95,
        "small_talk": 122,
        "plan": 125,
        "favour": 85,
        "work": 72,
        "ramble": 51,
        "story": 142,
        "talk": 140,
        "gossip": 160,
        "facts": 86,
        "quoted_spam": 14,
        "known_caller": 20,
    },
    ("ham", FORMAL): {"notice": 70, "careful": 12, "honest_secret": 6},
    ("spam", CHATTY): {
        "wrapped_pitch": 24,
        "false_kin": 32,
        "lonely": 70,
        "teaser": 80,
        "invest": 60,
    },
    ("spam", LOUD): {
        "blunt": 60,
        "prize": 196,
        "hotline": 98,
        "club": 110,
        "upgrade": 105,
        "sale": 80,
        "claims": 40,
        "loan": 60,
        "job": 50,
        "appeal": 20,
    },
    ("spam", FORMAL): {"phish": 97, "careless": 12, "false_secret": 6},
}

SHORTHAND: dict[str, str] = dict(
    re.findall(
        r"(\S+)=(\S+)",
        """
you=u your=ur are=r see=c great=gr8 later=l8r tonight=2nite tomorrow=2moro please=pls thanks=thx
to=2 for=4 before=b4 want=wanna with=wiv text=txt about=bout it's=its i'm=im don't=dont can't=cant
and=n what=wot why=y because=cos love=luv back=bk be=b have=hav good=gd that=dat you're=ur the=da
message=msg going=goin tell=tel working=workin every=evry
""",
    )
)


@cache
def demo_messages() -> tuple[tuple[str, str], ...]:
    """The 2,400 (label, text) pairs, half of them spam, shuffled; the same on every machine."""
    rng = Random(20240607)
    seen: set[str] = set()
    messages = []
    for (label, register), families in FAMILIES.items():
        for symbol, count in families.items():
            for _ in range(count):
                messages.append((label, _fresh_message(symbol, register, rng, seen)))
    return (*sorted(messages, key=lambda _: rng.random()),)


def _fresh_message(symbol: str, register: Register, rng: Random, seen: set[str]) -> str:
    """A message that differs from all `seen` ones by more than digits and case."""
    while True:
        text = _typed(_expand(symbol, rng), register, rng)
        key = re.sub(r"\d", "", text).lower()
        if len(text) <= 300 and key not in seen:
            seen.add(key)
            return text


@cache
def _rules() -> Rules:
    """Of the phrase files, with rules of the form `symbol: choice | choice`; an indented line goes
    on with the one before it."""
    rules = {}
    for file in sorted((Path(__file__).parent / "sms_demo").glob("*.txt")):
        lines = re.sub(r"^#.*\n", "", file.read_text(encoding="utf-8"), flags=re.M)
        for rule in re.split(r"\n+(?=\w)", lines.strip()):
            symbol, choices = rule.split(":", 1)
            rules[symbol] = [" ".join(choice.split()) for choice in choices.split("|")]
    return rules


def _expand(symbol: str, rng: Random) -> str:
    # Python promises the same sequence across versions for random() only, not for choice().
    choices = _rules()[symbol]
    choice = choices[int(rng.random() * len(choices))]
    return re.sub(r"\{(\w+)\}", lambda slot: _expand(slot[1], rng), choice)


def _typed(text: str, register: Register, rng: Random) -> str:
    """A message as such a writer types it: at once, in text-speak, or loudly."""
    text = re.sub(r" +([.,!?])", r"\1", " ".join(text.split()))
    text = re.sub(r"([!?,.])[.,](?!\S)", r"\1", text)
    lower, speak, loud, squeezed = (rng.random() for _ in range(4))
    text = text.lower().rstrip(".") if lower < register.lower else _capitalised(text)
    if speak < register.text_speak:
        text = " ".join(_shortened(word, rng) for word in text.split())
    if loud < register.loud:
        text = _shouted(text, rng)
    if squeezed < register.squeezed:  # two dots: with one it would read as a domain
        text = re.sub(r"(?<!\S)([A-Za-z']+)([.!?,]) (?=[A-Za-z']+(?![./:]?\w))", _closed_up, text)
    return text


def _closed_up(end: re.Match[str]) -> str:
    return end[1] + (".." if end[2] == "." else end[2])


def _capitalised(text: str) -> str:
    # A word with an inner dot or slash is a link and keeps its case.
    return re.sub(r"(^|[.!?] )([a-z])(?!\S*[./]\w)", lambda m: m[1] + m[2].upper(), text)


def _shortened(word: str, rng: Random) -> str:
    """Shorthand and the odd slip; links and numbers stay intact."""
    core = word.rstrip(".,!?")
    if re.search(r"[\d./:]", core):
        return word
    if core.lower() in SHORTHAND and rng.random() < 0.6:
        short = SHORTHAND[core.lower()]
        return (short.capitalize() if core[0].isupper() else short) + word[len(core) :]
    if len(core) > 4 and rng.random() < 0.03:
        at = 1 + int(rng.random() * (len(core) - 2))
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word


def _shouted(text: str, rng: Random) -> str:
    """One sentence in capitals, but for links."""
    sentences = re.split(r"(?<=[.!?]) ", text)
    at = int(rng.random() * len(sentences))
    words = sentences[at].split(" ")
    sentences[at] = " ".join(w if re.search(r"\w[./]\w", w) else w.upper() for w in words)
    return " ".join(sentences)
