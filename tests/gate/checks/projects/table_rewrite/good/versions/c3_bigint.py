"""make room for large totals, beside the small ones"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.execute("ALTER TABLE orders ADD COLUMN IF NOT EXISTS total_new bigint")
    with op.get_context().autocommit_block():
        op.execute("""
            DO $$ BEGIN
                LOOP
                    UPDATE orders SET total_new = total WHERE ctid = ANY (ARRAY(
                        SELECT ctid FROM orders WHERE total_new IS NULL AND total IS NOT NULL LIMIT 5000));
                    EXIT WHEN NOT FOUND;
                    COMMIT;
                END LOOP;
            END $$
        """)


def downgrade():
    op.drop_column("orders", "total_new")
