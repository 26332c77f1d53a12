"""The demo messages are fixed, safe to show anyone, and too hard for a bag of words."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped, unused-ignore]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped, unused-ignore]
from sklearn.model_selection import train_test_split  # type: ignore[import-untyped, unused-ignore]

from loraexp.data import demo
from loraexp.data.demo import demo_messages

Messages = tuple[tuple[str, str], ...]

# RFC 2606 for domains; Ofcom's numbers for drama for phones, spaces removed.
RESERVED_DOMAIN = re.compile(r"(.+\.)?(example|invalid|example\.(com|net|org))")
RESERVED_PHONE = re.compile(r"(07700900|\+447700900|03069990|08081570|09098790)\d{3}")


@pytest.fixture(scope="module")
def messages() -> Messages:
    return demo_messages()


def texts(messages: Messages) -> list[str]:
    return [text for _, text in messages]


def labels(messages: Messages) -> list[str]:
    return [label for label, _ in messages]


def domains(text: str) -> list[str]:
    return re.findall(r"[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", text.lower())


def phones(text: str) -> list[str]:
    # A lone digit is no part of a number: texters write "2" for "to" and "4" for "for".
    groups = re.findall(r"\+?\d{2,}(?: \d{2,})*", text)
    return [number.replace(" ", "") for number in groups if len(number) >= 10]


def majority_share_by_token(messages: Messages, at_least: int) -> dict[str, float]:
    """For each token in `at_least` messages, the share of them that its commoner class holds."""
    counts: dict[str, Counter[str]] = {}
    for label, text in messages:
        for token in set(re.findall(r"[\w']+", text.lower())):
            counts.setdefault(token, Counter())[label] += 1
    return {
        token: max(by_label.values()) / by_label.total()
        for token, by_label in counts.items()
        if by_label.total() >= at_least
    }


def linear_test_accuracy(messages: Messages, features: TfidfVectorizer) -> float:
    train_x, test_x, train_y, test_y = train_test_split(
        texts(messages), labels(messages), test_size=0.3, random_state=0, stratify=labels(messages)
    )
    model = LogisticRegression(C=10).fit(features.fit_transform(train_x), train_y)
    return float(model.score(features.transform(test_x), test_y))


def test_messages_are_the_same_on_every_machine(messages: Messages) -> None:
    lines = "".join(f"{label}\t{text}\n" for label, text in messages)
    digest = hashlib.sha256(lines.encode()).hexdigest()
    assert digest == "f2a1492aa2af27f3523935d4753ec01765bc51f6f2ca7124b6474e0dbbe5786f"


def test_a_second_call_gives_the_same_messages(messages: Messages) -> None:
    assert demo_messages.__wrapped__() == messages


def test_half_of_2400_messages_are_spam(messages: Messages) -> None:
    assert Counter(labels(messages)) == {"ham": 1200, "spam": 1200}


def test_classes_are_shuffled_together(messages: Messages) -> None:
    for start in range(0, 2400, 400):
        assert 150 <= labels(messages[start : start + 400]).count("spam") <= 250


def test_no_two_messages_differ_only_in_digits_or_case(messages: Messages) -> None:
    forms = {re.sub(r"\d", "", text).lower() for text in texts(messages)}
    assert len(forms) == 2400


def test_lengths_are_those_of_text_messages(messages: Messages) -> None:
    lengths = [len(text) for text in texts(messages)]
    assert min(lengths) >= 2
    assert max(lengths) <= 300
    assert 60 <= sum(lengths) / len(lengths) <= 90


def test_text_is_one_line_of_ascii_and_pound_signs(messages: Messages) -> None:
    for text in texts(messages):
        assert re.fullmatch(r"[ -~£]+", text), text
        assert text == " ".join(text.split())


def test_no_grammar_mark_is_left_in_a_message(messages: Messages) -> None:
    assert not [text for text in texts(messages) if re.search(r"[{}|]", text)]


def test_each_symbol_has_one_rule_and_each_rule_is_used() -> None:
    files = sorted(Path(demo.__file__).with_name("sms_demo").glob("*.txt"))
    written = [
        line.split(":")[0] for f in files for line in f.read_text().split("\n") if ":" in line
    ]
    symbols = [symbol for symbol in written if re.fullmatch(r"\w+", symbol)]
    named = set(re.findall(r"\{(\w+)\}", "".join(file.read_text() for file in files)))
    families = {family for counts in demo.FAMILIES.values() for family in counts}
    assert Counter(symbols) == Counter(dict.fromkeys(named | families, 1))


def five_words(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w']+", text.lower())
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


def test_no_five_words_in_a_row_stand_in_a_real_message(
    messages: Messages, real_data: Path
) -> None:
    real = (real_data / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8")
    theirs = set().union(*(five_words(line.partition("\t")[2]) for line in real.split("\n")))
    ours = set().union(*map(five_words, texts(messages)))
    assert len(theirs) > 50_000
    assert len(ours) > 10_000
    assert theirs & ours == set()


def test_every_link_is_on_a_reserved_domain(messages: Messages) -> None:
    found = [domain for text in texts(messages) for domain in domains(text)]
    assert len(found) > 300
    assert [domain for domain in found if not RESERVED_DOMAIN.fullmatch(domain)] == []


def test_every_phone_number_is_reserved_for_fiction(messages: Messages) -> None:
    found = [number for text in texts(messages) for number in phones(text)]
    assert len(found) > 200
    assert [number for number in found if not RESERVED_PHONE.fullmatch(number)] == []


def test_an_unreserved_link_or_number_would_be_noticed() -> None:
    assert not any(map(RESERVED_DOMAIN.fullmatch, domains("see http://notexample.com/now")))
    assert not any(map(RESERVED_PHONE.fullmatch, phones("call 07700 901123 2 claim")))
    assert domains("see http://notexample.com/now")
    assert phones("call 07700 901123 2 claim")


def test_few_common_tokens_give_the_label_away(messages: Messages) -> None:
    shares = majority_share_by_token(messages, at_least=40)
    assert len(shares) > 150
    assert sum(share > 0.96 for share in shares.values()) < len(shares) / 8


@pytest.mark.parametrize("token", ["free", "win", "won", "claim", "urgent", "account", "code"])
def test_a_word_famed_for_spam_also_occurs_in_ham(messages: Messages, token: str) -> None:
    ham = [text for label, text in messages if label == "ham"]
    assert any(re.search(rf"\b{token}\b", text.lower()) for text in ham)


@pytest.mark.parametrize("trace", [r"\.(example|invalid)\b|example\.", "£", r"\d{5}"])
def test_links_prices_and_numbers_occur_in_both_classes(messages: Messages, trace: str) -> None:
    bearers = Counter(label for label, text in messages if re.search(trace, text))
    assert min(bearers["ham"], bearers["spam"]) >= 50


def test_some_spam_has_no_link_price_or_number(messages: Messages) -> None:
    spam = [text for label, text in messages if label == "spam"]
    assert sum(not re.search(r"[\d£/]|example", text) for text in spam) >= 50


@pytest.mark.parametrize(
    "features",
    [
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    ],
    ids=["words", "characters"],
)
def test_a_linear_model_learns_much_but_not_all(
    messages: Messages, features: TfidfVectorizer
) -> None:
    assert 0.90 < linear_test_accuracy(messages, features) < 0.99
