"""THE TABLE of branches, one file a kind: what a row of `methods` calls by name."""

from loraexp.adapters.branches.adalora import AdaLora
from loraexp.adapters.branches.base import Branch
from loraexp.adapters.branches.dense import Hira, Loha, Lokr, Randlora, Shira
from loraexp.adapters.branches.dora import Dora
from loraexp.adapters.branches.dylora import Dylora
from loraexp.adapters.branches.from_data import Eva, LoraGa
from loraexp.adapters.branches.from_start import FromStart
from loraexp.adapters.branches.ia3 import Ia3
from loraexp.adapters.branches.lora import LowRank
from loraexp.adapters.branches.miss import Miss
from loraexp.adapters.branches.oft import Oft
from loraexp.adapters.branches.vera import Vera

BRANCHES: dict[str, type[Branch]] = {
    kind.__name__: kind
    for kind in (
        *(AdaLora, Dora, Dylora, Eva, FromStart, Hira, Ia3, Loha, Lokr, LoraGa, LowRank, Miss),
        *(Oft, Randlora, Shira, Vera),
    )
}
