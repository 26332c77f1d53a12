"""What a base forgets: the loss of its own language modelling on a general text."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from loraexp.errors import UserError
from loraexp.model.causal_lm import next_tokens
from loraexp.model.gpt2 import GPT2
from loraexp.model.locate import ASSETS, HELD_OUT
from loraexp.model.tokenizer import Tokenizer
from loraexp.runtime.atomic import read_text

WINDOW = 256  # tokens that are read together, where the context has room
BATCH = 4  # windows: GPT-2's logits of more take hundreds of megabytes
LARGEST = 2**24  # bytes of a text
SHIPPED = ASSETS / "nano" / HELD_OUT


class GeneralText:
    """Plain text, a blank line between documents, and how it is told from others.

    Args:
        file: the one that comes with the embedded base, if None.

    Raises:
        UserError: a file that cannot be read.
    """

    def __init__(self, file: str | None) -> None:
        path = Path(file) if file else SHIPPED
        try:
            self.content = read_text(path.parent, path.name, LARGEST)
            self.sha256 = sha256(self.content.encode()).hexdigest()
        except (OSError, ValueError) as error:
            raise UserError(f"text={path} cannot be read as UTF-8: {error}") from None

    def windows(self, tokenizer: Tokenizer, context: int) -> list[Tensor]:
        """Token ids (1, T + 1) each, T of which are foretold; a rest that fills no window is left
        out, unless it is all there is.

        Raises:
            UserError: less than two tokens.
        """
        documents = [part for part in self.content.split("\n\n") if part.strip()]
        rows = tokenizer.encode(documents, 1 << 62)
        tokens = torch.tensor([token for row in rows for token in (*row, tokenizer.pad)])
        T = min(WINDOW, context, len(tokens) - 1)
        if T < 1:
            raise UserError("text: it has less than two tokens")
        return [tokens[None, at : at + T + 1] for at in range(0, len(tokens) - T, T)]


@torch.inference_mode()
def language_losses(network: GPT2, windows: list[Tensor]) -> Tensor:
    """Mean loss of each window (n,), in nats a token.

    Raises:
        UserError: a loss that is NaN or infinite.
    """
    network.eval()
    losses = torch.cat([*each(network, windows)])
    if not losses.isfinite().all():
        raise UserError("the loss of its language modelling is NaN or infinite")
    return losses


def each(network: GPT2, windows: list[Tensor]) -> Iterator[Tensor]:
    for at in range(0, len(windows), BATCH):
        batch = torch.cat(windows[at : at + BATCH])  # (B, T + 1)
        logits = next_tokens(network, batch[:, :-1]).float()  # (B T, V)
        losses = F.cross_entropy(logits, batch[:, 1:].flatten(), reduction="none")
        yield losses.view(len(batch), -1).double().mean(1)
