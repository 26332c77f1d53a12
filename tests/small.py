"""A model of milliseconds and a run of it, for tests that need them without a fixture."""

from pathlib import Path

from loraexp.config.schema import Data, Logger, Lora, Model, Optim, TrainConfig, Trainer


def tiny_model() -> Model:
    """Two blocks of width 16 on bytes, with random weights."""
    return Model(
        name="tiny",
        weights="random",
        tokenizer="bytes",
        n_layer=2,
        n_head=2,
        d_model=16,
        context=64,
        vocab_size=257,
    )


def small_run(outputs: Path, epochs: int, logger: str) -> TrainConfig:
    """Three batches an epoch; float32, so that results do not depend on the CPU's bf16."""
    return TrainConfig(
        output_dir=str(outputs),
        model=tiny_model(),
        data=Data(limit=24),
        lora=Lora(rank=2),
        optim=Optim(lr=1e-2),
        trainer=Trainer(max_epochs=epochs, precision="fp32", accelerator="cpu"),
        logger=Logger(name=logger),
    )
