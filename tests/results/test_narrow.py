"""Tables on a terminal that is too narrow for them."""

from loraexp.results.tables import Column, Table, narrowed


def test_a_narrow_terminal_loses_expendable_columns_first_ones_first() -> None:
    table = Table([Column(name, name) for name in ("alpha", "beta", "gamma")], [[1, 22, 333]])
    order = ["beta", "alpha"]
    assert narrowed(table, order, 16).header == ["alpha", "beta", "gamma"]  # 5 + 1 + 4 + 1 + 5
    assert narrowed(table, order, 15).header == ["alpha", "gamma"]
    assert narrowed(table, order, 4).header == ["gamma"]  # never more than the expendable ones
