"""Pretraining in reading order: tokenizer, corpus, network, fit, a base in Hugging Face format."""

import json
import logging
import math
import time
from dataclasses import asdict, replace
from hashlib import sha256
from os.path import lexists
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint, Timer
from lightning.pytorch.loggers import Logger

from loraexp.config.pretraining import PretrainConfig
from loraexp.config.stored import from_home, to_yaml
from loraexp.errors import UserError
from loraexp.model.causal_lm import GPT2Language
from loraexp.model.checkpoint import save_base
from loraexp.model.locate import weights_file
from loraexp.model.tokenizer import Tokenizer, from_folder
from loraexp.model.weights import base_state, load_tokenizer
from loraexp.pretraining.bpe import train_bpe
from loraexp.pretraining.causal_lm_module import CausalLMModule, CorpusModule
from loraexp.pretraining.corpus import Blocks, corpus_files, documents, stream
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime import hardware
from loraexp.runtime.atomic import file_hash, write_whole
from loraexp.training.callbacks.progress import Progress
from loraexp.training.fit import common_settings
from loraexp.training.lightning_environment import quiet, restored_environment
from loraexp.training.loggers import curve_loggers

log = logging.getLogger("loraexp")
REPORT, CONFIG, CHECKPOINTS = "pretraining.json", "pretrain.yaml", "checkpoints"
# All that is written of a base: none of it may be a stranger's.
WRITTEN = (
    *("model.safetensors", "config.json", "vocab.json", "merges.txt"),
    *(REPORT, CHECKPOINTS, "metrics.csv"),
)
HASHES = "sha256"  # in CONFIG, beside the settings


def pretrain(config: PretrainConfig, progress: bool = False) -> dict[str, Any]:
    """Pretrain a base into `config.out`; what was cut short goes on from its last check.

    Returns what pretraining.json holds; of a finished folder, without training again.

    Raises:
        UserError: texts that cannot be read, or an `out` that holds another pretraining, if only by
            the content of its texts, starting weights or tokenizer.
    """
    folder = Path(config.out)
    with (own := RunFolder(folder)).held():
        check_folder(config, folder)
        if (folder / REPORT).is_file():
            log.info(f"{folder} is finished already")
            report: dict[str, Any] = json.loads((folder / REPORT).read_text(encoding="utf-8"))
            return report
        if not (folder / CONFIG).is_file():
            content = yaml.safe_dump({HASHES: hashes(config)}, sort_keys=False)
            write_whole(folder / CONFIG, settings(config) + content)
        with quiet(), restored_environment(), curve_loggers(config, folder, None) as loggers:
            report = run(config, folder, loggers, progress)
        own.check((folder / REPORT).is_file())
        write_whole(folder / REPORT, json.dumps(report, indent=2) + "\n")  # last: it is finished
    return report


def run(
    config: PretrainConfig, folder: Path, loggers: list[Logger], progress: bool
) -> dict[str, Any]:
    started = time.perf_counter()
    hardware.check_gpus(config.trainer.accelerator)
    tokenizer = tokenizer_of(config, folder)
    files = corpus_files(config.data.text)
    tokens = stream(documents(files), lambda t: tokenizer.encode(t, 1 << 62), tokenizer.pad)
    blocks = Blocks.of(tokens, config.data, config.seed)
    a_step = config.data.batch_size * config.data.block
    steps = max(1, round(config.trainer.passes * len(blocks.learnt) / config.data.batch_size))
    checks = np.linspace(0, steps, min(steps, config.trainer.checks) + 1).round().astype(int)
    log.info(
        f"{len(files)} files, {len(tokens):,} tokens; {len(blocks.held_out):,} blocks held out; "
        f"{steps:,} steps of {a_step:,} tokens"
    )
    network = fresh(config)
    precision = hardware.pick_precision(config.trainer.precision, config.trainer.accelerator)
    network.compute_in(hardware.DTYPES[precision])
    module = CausalLMModule(network, config.optim, steps)
    texts = CorpusModule(blocks, config.data, config.seed, checks.tolist())
    timer = Timer()
    keeper = ModelCheckpoint(folder / CHECKPOINTS, "last", enable_version_counter=False)
    callbacks = [timer, keeper, *([Progress()] if progress else [])]
    trainer = Trainer(
        **common_settings(config.trainer.accelerator, loggers, callbacks),
        devices=1,
        max_epochs=len(checks) - 1,
        reload_dataloaders_every_n_epochs=1,
        log_every_n_steps=20,
    )
    seed_everything(config.seed, verbose=False)
    last = folder / CHECKPOINTS / "last.ckpt"
    fitting = time.perf_counter()
    trainer.fit(module, texts, ckpt_path=last if last.is_file() else None, weights_only=True)
    loss = float(trainer.validate(module, texts, verbose=False)[0]["held_out_loss"])
    state = {name: t.detach().cpu().bfloat16() for name, t in network.state_dict().items()}
    save_base(state, config.model, tokenizer.pad, folder)
    return {
        "config": asdict(replace(config, out="", data=replace(config.data, text=[]))),
        "files": [file.name for file in files],
        "tokens": len(tokens),
        "tokens_seen": steps * a_step,
        "steps": steps,
        "parameters": sum(p.numel() for p in network.parameters()),
        "held_out_tokens": len(blocks.held_out) * config.data.block,
        "held_out_loss": loss,
        "perplexity": math.exp(loss),
        "bits_per_byte": loss / math.log(2) / bytes_a_token(blocks, tokenizer),
        "seconds": {"prepare": fitting - started, "fit": timer.time_elapsed()},
        "precision": precision,
        "device": hardware.device_name(config.trainer.accelerator, 1),
        "versions": hardware.versions(),
        "git_commit": hardware.git_commit(),
    }


def fresh(config: PretrainConfig) -> GPT2Language:
    """The network at its start: random weights, or those of `model.weights` to go on from."""
    model = replace(config.model, init_seed=config.seed)
    with torch.device("meta"):
        network = GPT2Language(model)
    network.to_empty(device="cpu").load_state_dict(base_state(model))
    return network


def tokenizer_of(config: PretrainConfig, folder: Path) -> Tokenizer:
    """`model.tokenizer=train` makes one from the texts, in `folder`; else the one that is named."""
    if config.model.tokenizer != "train":
        return load_tokenizer(config.model)
    if not (folder / "merges.txt").is_file():
        texts = documents(corpus_files(config.data.text))
        train_bpe(texts, config.model.vocab_size, folder)
    return from_folder(folder)


def bytes_a_token(blocks: Blocks, tokenizer: Tokenizer) -> float:
    """Mean bytes of UTF-8 that a held-out token stands for."""
    lengths = np.zeros(len(tokenizer))
    for token in tokenizer.encoding.token_byte_values():
        lengths[tokenizer.encoding.encode_single_token(token)] = len(token)
    return float(lengths[blocks.batch(blocks.held_out)[:, 1:].numpy()].mean())


def settings(config: PretrainConfig) -> str:
    """All that decides the result, as YAML: where it is written and logged does not."""
    return to_yaml(replace(config, out="", logger=type(config.logger)()))


def hashes(config: PretrainConfig) -> dict[str, str | None]:
    """sha256 of what the settings only name: the texts in their order, the weights to go on from,
    the tokenizer; null for what is in no file."""
    texts = "".join(file_hash(file) for file in corpus_files(config.data.text))
    model = config.model
    return {
        "data.text": sha256(texts.encode()).hexdigest(),
        "model.weights": None if model.weights == "random" else file_hash(weights_file(model)),
        "model.tokenizer": None if model.tokenizer == "train" else load_tokenizer(model).sha256,
    }


def check_folder(config: PretrainConfig, folder: Path) -> None:
    """`out` is empty or holds this very pretraining."""
    file = folder / CONFIG
    if not file.is_file():
        if there := [name for name in WRITTEN if lexists(folder / name)]:
            raise UserError(f"out={folder} holds {there[0]}, not made here; choose another")
        return
    try:
        kept = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(kept, dict):
            raise TypeError("it holds no settings")
        then = kept.pop(HASHES, None)
        for group, key in (("data", "text"), ("model", "weights"), ("model", "tokenizer")):
            kept[group][key] = from_home(kept[group][key])  # those of before have whole paths
    except (ValueError, TypeError, LookupError, yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{file} is damaged: {' '.join(str(error).split())}") from None
    if kept != yaml.safe_load(settings(config)):
        raise UserError(f"out={folder} holds a pretraining with other settings; choose another")
    try:
        now = hashes(config)
    except UserError as error:
        if not (folder / REPORT).is_file():
            raise
        log.warning(f"warning: whether {folder} is of what was named cannot be compared: {error}")
        return
    if not isinstance(then, dict):
        log.warning(
            f"warning: {folder} is from before hashes of its texts were kept: whether these are "
            "still the same cannot be compared"
        )
        return
    for key, digest in now.items():
        if then.get(key) != digest:
            raise UserError(
                f"out={folder} was pretrained with other content of {key} (sha256 "
                f"{str(then.get(key))[:12]} then, {str(digest)[:12]} now); choose another out=, or "
                "remove that folder"
            )
