"""orders without a status are new, in batches"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    with op.get_context().autocommit_block():
        # As a procedure does it offline, too: each batch is a transaction.
        op.execute(
            """
            DO $$
            DECLARE
                first integer := (SELECT id FROM orders ORDER BY id LIMIT 1);
                following integer;
            BEGIN
                WHILE first IS NOT NULL LOOP
                    following := (SELECT id FROM orders WHERE id >= first ORDER BY id OFFSET 5000 LIMIT 1);
                    UPDATE orders SET status = 'new'
                    WHERE status IS NULL AND id >= first AND (following IS NULL OR id < following);
                    COMMIT;
                    first := following;
                END LOOP;
            END $$
            """
        )


def downgrade():
    op.execute("SELECT 'a status that is known does no harm'")
