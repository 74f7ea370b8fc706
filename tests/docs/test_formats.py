from __future__ import annotations

import formats_table

from fused_jupyter.formats import Kind


def test_table_in_the_documentation_is_the_codes_own() -> None:
    """`python scripts/formats_table.py` writes it; nobody edits it by hand."""
    assert formats_table.page_with(formats_table.table()) == formats_table.PAGE.read_text(encoding="utf-8")


def test_table_has_a_column_for_every_kind() -> None:
    """A new kind of value is documented."""
    assert set(formats_table._HEADS) == set(Kind) - {Kind.RESPONSE}
