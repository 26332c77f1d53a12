"""Which of the processes that train together is this one?"""

import os

# Set to the number of the process that trains, for those that Lightning starts beside it.
MAIN = "LORAEXP_MAIN"


def is_main_process() -> bool:
    """False in the further processes that Lightning or torchrun starts for DDP."""
    return is_alone() or os.environ.get("LOCAL_RANK", "0") == "0"


def is_alone() -> bool:
    """Did a user start this process, and nobody that trains together with it? A rank in the
    environment of a shell or of a cluster's job says nothing about this."""
    beside = os.environ.get(MAIN) == str(os.getppid())
    return not beside and not by_torchrun()


def by_torchrun() -> bool:
    """Was this process started by torchrun? (torch.distributed.is_torchelastic_launched)"""
    return "TORCHELASTIC_RUN_ID" in os.environ
