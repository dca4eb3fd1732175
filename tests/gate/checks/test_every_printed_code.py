"""Every place in the source that writes code for a reader is run by a test: a new one without such a test is red here."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.gate.checks.places import find_places

TESTS = Path(__file__).parents[1]

# The test that runs what is printed, and the places that it has print it.
RUN_BY: Mapping[str, str] = {
    "checks/test_printed_code.py test_the_code_does_what_was_wanted_and_brings_no_such_finding": """
        checks.blocking_index: Build.first _builds _code _required_first _advice _drop_finding
        checks.blocking_scan: _constraints _advice _add_constraint _not_null
        checks.support.batches: fill_in_batches _of_one _of_many _list
        checks.support.concurrently: build drop _create _drop_remains _take_over _build_on_partitions _drop_older _join _below
            constrain require
        checks.support.ddl: create_index drop alter_column alter_enum _arguments _schema
        checks.support.rewrites: retyped _filled _in_utc added _sequences _checked with_new_labels _more_labels _with_labels
        checks.support.scans: _in_two_revisions _for_type
        checks.support.script: python execute autocommit
        checks.table_rewrite: _advice _causes
    """,
    "checks/test_printed_code.py test_a_check_takes_the_place_of_a_scan_of_a_partition": "checks.support.scans: _for_partition",
    "checks/test_printed_code.py test_a_materialized_view_is_refreshed_while_it_is_read": "checks.support.rewrites: refreshed",
    "checks/test_printed_code.py test_a_value_that_is_too_long_is_refused_and_not_cut": "checks.support.ddl: what_does_not_fit",
    "checks/test_printed_code.py test_what_postgres_refuses_is_done_in_another_way": """
        checks.support.another_way: another_way
        checks.support.fix_code: between_views
        checks.upgrade: _help
    """,
    "checks/test_printed_downgrades.py test_a_downgrade_is_told_what_restores_the_schema": """
        checks.round_trip: _how_to_restore
        checks.support.ddl: create _create_constraint column _grants _retype
        checks.support.fix_code: code lines_for _with_dependents _depths_of_views _comes_with_its_parent _tables_above
    """,
    "checks/test_printed_downgrades.py test_a_missing_downgrade_is_written": """
        checks.irreversible: _help
        checks.support.ddl: alter_table
        checks.support.fix_code: children_first
    """,
    "checks/test_printed_downgrades.py test_a_type_that_the_models_have_is_given_to_the_column": "checks.schema_drift: _help",
    "checks/test_printed_downgrades.py test_a_downgrade_is_told_the_name_that_postgres_gave": "checks.round_trip: _names_of_constraints",
    "checks/test_printed_downgrades.py test_duplicates_are_made_to_differ_and_no_other_row": """
        checks.support.row_advice: help_for _code _code_for_duplicates
    """,
    "checks/support/test_fix_code.py test_the_code_undoes_what_was_done": "checks.support.ddl: _identity_change",
    "checks/test_printed_losses.py test_the_values_of_a_dropped_column_are_in_the_copy": "checks.data_loss: _help _copies",
    "checks/test_printed_losses.py test_rights_that_were_lost_are_given_back": "checks.access_change: _help",
    "checks/test_printed_losses.py test_what_was_left_unfinished_is_finished": "checks.not_validated: _finding _switched_off",
    "checks/test_printed_advice.py test_the_columns_of_a_foreign_key_get_an_index": "checks.unindexed_foreign_key: _advice _code",
    "checks/test_printed_advice.py test_all_rows_are_changed_in_batches": "checks.bulk_update: _advice",
    "checks/test_printed_advice.py test_a_table_that_is_published_without_a_key_can_be_written": "checks.breaks.replication: _advice",
    "checks/test_printed_advice.py test_what_may_not_be_null_is_filled": """
        checks.support.row_advice: _code_for_nulls _some_value
    """,
    "checks/test_printed_advice.py test_sequences_are_moved_behind_the_rows": """
        checks.populated_upgrade: _in_history
        checks.support.row_advice: help_for_history _code_for_sequences _behind_the_rows
    """,
    "checks/test_printed_advice.py test_the_sequence_of_the_next_insert_is_moved_behind_the_rows": """
        checks.populated_upgrade: _next_insert
        checks.support.row_advice: help_for_insert
    """,
    "checks/support/test_exact_assumptions.py test_the_query_gives_the_rows_that_make_the_revision_fail_and_no_others": """
        checks.populated_upgrade: _finding _assumed
        checks.support.assumed_bounds: find_rows
        checks.support.assumed_domains: find_values
        checks.support.assumed_types: find_refused
        checks.support.assumptions: _nulls _of_constraint _orphans _duplicates _overlapping
        checks.support.older: Older.query
        checks.support.row_advice: help_for_assumption
    """,
    "checks/test_code_of_promises.py test_a_build_is_repeated_over_what_a_failed_one_has_left": "checks.interrupted_upgrade: _help _builds",
    "checks/test_code_of_promises.py test_the_copy_that_a_cancelled_reindex_left_is_dropped_before_the_next": """
        checks.interrupted_upgrade: _drops_of_copies
    """,
    "checks/test_code_of_promises.py test_a_partition_is_detached_concurrently": "checks.lock_pileup: _detached_partitions",
    "checks/test_printed_commands.py test_a_comment_that_accepts_a_finding_names_a_check": """
        checks.breaking_change: _finding _with_basis
        checks.breaks.recorded: _finding
        checks.data_loss: _ALLOW
        checks.irreversible: _ACCEPT
    """,
    "checks/test_printed_commands.py test_the_setting_that_accepts_all_missing_downgrades_is_read": "checks.irreversible: _ALLOW_ALL",
    "checks/test_printed_commands.py test_heads_are_joined_or_put_one_after_the_other": "checks.single_head: _help",
    "checks/test_printed_commands.py test_the_commands_are_those_of_alembic": """
        checks.model_drift: _help
        checks.round_trip: _hint
        checks.same_schema: _how_to_stamp
    """,
    "checks/test_printed_commands.py test_a_merged_script_is_put_back": "checks.merged_history: _put_back",
    "checks/test_printed_commands.py test_what_moves_revisions_is_a_command_of_ours": """
        checks.merged_history: _move_to_the_top
        checks.single_head: _rebase
    """,
    "checks/test_printed_commands.py test_a_lock_timeout_is_set": """
        checks.lock_timeout: _of_the_project _too_patient _of_a_revision
    """,
    "checks/test_printed_commands.py test_a_second_upgrade_waits_for_the_first": "checks.concurrent_upgrade: _HELP",
    "checks/test_printed_commands.py test_a_table_without_a_model_is_hidden_from_autogenerate": "checks.model_drift: _without_a_model",
    "checks/test_printed_commands.py test_offline_a_percent_sign_is_written_once": "checks.offline_sql: _NAMED_PARAMETERS",
    "checks/test_printed_commands.py test_offline_what_env_sets_is_written": "checks.offline_sql: _SEARCH_PATH",
    "checks/test_printed_commands.py test_offline_types_and_what_asks_the_database": "checks.offline_sql: _NO_TYPE _SKIP_OFFLINE",
    "checks/test_printed_commands.py test_an_autocommit_block_after_a_statement_of_env": """
        checks.support.failures: _AUTOCOMMIT _NOT_ALEMBIC_S
    """,
    "checks/test_printed_commands.py test_membership_lets_a_role_be_given_something": "checks.support.refused: _advice",
    "checks/test_printed_commands.py test_models_are_imported": "checks.unregistered_models: _finding _finding_of_all",
    "checks/test_printed_commands.py test_rows_of_ones_own_go_into_the_table": "checks.populated_upgrade: _uncovered",
    "checks/test_printed_commands.py test_a_partition_that_is_half_detached_is_completed_by_hand": "checks.interrupted_upgrade: _finalize",
    "judging/test_baseline.py test_what_is_written_can_be_read": "judging.baseline: render_baseline",
    "postgres/test_missing.py test_the_code_makes_what_is_missing": "postgres.missing: _belongs_to _no_operator_class _schema",
    "first_minute/test_ordinary_projects.py test_the_first_command_works_or_says_what_to_type": """
        target.advice: _set_url _with_driver _about_settings _about_a_variable_of_ours _about_the_configured_url _about_what_was_asked_for
    """,
    "target/test_advice.py test_of_several_databases_one_is_verified_at_a_time": "target.advice: _about_several_databases",
}  # fmt: skip


def _places(text: str) -> Iterator[str]:
    """`checks.bulk_update._advice` of `checks.bulk_update: _advice`."""
    module = ""
    for word in text.split():
        if word.endswith(":"):
            module = word.removesuffix(":")
        else:
            yield f"{module}.{word}"


def test_each_place_that_writes_code_has_a_test_that_runs_it() -> None:
    mapped = [place for text in RUN_BY.values() for place in _places(text)]
    found = set(find_places())

    assert sorted(found - set(mapped)) == [], "name the test that runs what they print in RUN_BY"
    assert sorted(set(mapped) - found) == [], "these are gone: take them out of RUN_BY"
    assert len(set(mapped)) == len(mapped)


def test_each_of_the_tests_is_there() -> None:
    missing = []
    for test in RUN_BY:
        file, name = test.split()
        body = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
        missing += [test] if name not in {node.name for node in body if isinstance(node, ast.FunctionDef)} else []

    assert missing == []
