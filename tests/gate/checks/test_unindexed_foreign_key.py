"""Foreign keys whose columns no index leads with. Which index that is, is tried by tests/gate/checks/support/test_indexes.py."""

from __future__ import annotations

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.unindexed_foreign_key import examine
from app.gate.recording.model import Recording
from tests.gate.checks.builders import added, altered, key, recording, removed, revision, snapshot, statement, trip

ITEMS = key("table", "items")
FK = key("constraint", "fk_items_order", "items")
ON_ORDER = {
    "type": "foreign key",
    "columns": ["order_id"],
    "references": "public.orders",
    "definition": "FOREIGN KEY (order_id) REFERENCES public.orders(id)",
}
INDEX = key("index", "ix_items", "items")
ON_INDEX = {"definition": "USING btree (order_id)"}


def history(*changes, head=None, **fields) -> Recording:
    head = {FK: ON_ORDER} if head is None else head
    return recording(trip("a1", changes=changes or [added(FK, **ON_ORDER)], **fields), head=snapshot(head))


def test_the_finding_names_the_columns_the_referenced_table_and_the_index():
    add = statement("ALTER TABLE items ADD CONSTRAINT fk_items_order FOREIGN KEY (order_id) REFERENCES orders", line=12)

    [finding] = examine(history(statements=[add]))

    assert finding.message == (
        "No index leads with order_id of items: each DELETE from orders, and each change of its key, reads the whole table."
    )
    assert (finding.revision, finding.object, finding.line) == ("a1", "public.items.fk_items_order", 12)
    assert 'op.create_index("ix_items_order_id", "items", ["order_id"], postgresql_concurrently=True)' in str(
        finding.help
    )


def test_all_that_a_revision_adds_are_one_finding_and_new_tables_get_plain_indexes():
    keys = {key("constraint", f"fk{number}", "items"): {**ON_ORDER, "columns": [f"c{number}"]} for number in range(9)}
    changes = [added(ITEMS), *(added(each, **definition) for each, definition in keys.items())]

    [finding] = examine(history(*changes, head=keys))

    assert finding.message.endswith("(and 8 more foreign keys like it).")
    assert 'op.create_index("ix_items_c0", "items", ["c0"])\n' in str(finding.help)
    assert "# … and 3 more" in str(finding.help)


def test_where_the_history_makes_no_partitions_the_code_says_so():
    [finding] = examine(history(head={FK: ON_ORDER, ITEMS: {"partition_by": "RANGE (id)"}}))

    assert "CONCURRENTLY" not in str(finding.help)
    assert "# The history creates no partitions." in str(finding.help)


def test_the_index_has_a_name_that_no_other_relation_has():
    other = key("index", "ix_items_order_id", "items")
    head = {FK: ON_ORDER, other: {"definition": "USING btree (order_id) WHERE is_open"}}

    [finding] = examine(history(head=head))

    assert "ix_items_order_id_1" in str(finding.help)
    assert 'EXISTS ix_items_order_id"' not in str(finding.help)


def test_the_key_of_a_partition_that_its_parent_has_as_well_is_not_told_again():
    part = key("constraint", "fk_items_order", "items_a")
    head = {
        FK: ON_ORDER, part: ON_ORDER, ITEMS: {"partition_by": "RANGE (id)"},
        key("table", "items_a"): {"partition_of": "public.items DEFAULT"},
    }  # fmt: skip

    [finding] = examine(history(added(FK, **ON_ORDER), added(part, **ON_ORDER), head=head))

    assert finding.object == "public.items.fk_items_order"
    assert str(finding.help).count("CREATE INDEX CONCURRENTLY") == 1


def test_a_long_name_is_cut_to_what_postgres_keeps():
    definition = {**ON_ORDER, "columns": ["c" * 40, "d" * 40]}

    [finding] = examine(history(added(FK, **definition), head={FK: definition}))

    name = str(finding.help).partition('op.create_index("')[2].partition('"')[0]
    assert len(name) == 63


def test_stays_quiet_when_an_index_is_there_at_the_end_of_the_branch():
    assert list(examine(history(head={FK: ON_ORDER, INDEX: ON_INDEX}))) == []


def test_stays_quiet_when_the_key_is_gone_at_the_end_of_the_branch():
    assert list(examine(history(head={ITEMS: {}}))) == []


def test_stays_quiet_when_it_takes_the_place_of_another_on_the_same_columns():
    old = key("constraint", "items_order_id_fkey", "items")

    assert list(examine(history(removed(old, **ON_ORDER), added(FK, **ON_ORDER)))) == []


def test_stays_quiet_about_a_key_that_is_only_validated():
    assert list(examine(history(altered(FK, {**ON_ORDER, "validated": False}, ON_ORDER)))) == []


def test_stays_quiet_about_what_is_on_the_base():
    merged = recording(
        trip("a1", changes=[added(FK, **ON_ORDER)]),
        revisions=[revision("a1", is_new=False)],
        head=snapshot({FK: ON_ORDER}),
    )

    assert list(examine(merged)) == []


def test_is_skipped_where_head_was_not_reached():
    with pytest.raises(CheckSkipped):
        list(examine(recording(trip("a1"))))
