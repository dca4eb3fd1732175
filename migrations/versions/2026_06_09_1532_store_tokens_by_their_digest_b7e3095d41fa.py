"""store tokens by their digest

Revision ID: b7e3095d41fa
Revises: 4c1f6a0b92de
Create Date: 2026-06-09 15:32:08+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "b7e3095d41fa"
down_revision = "4c1f6a0b92de"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE token_scope AS ENUM ('read', 'report', 'deploy', 'admin')")
    op.create_table(
        "api_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "scope",
            postgresql.ENUM("read", "report", "deploy", "admin", name="token_scope", create_type=False),
            nullable=False,
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("hint", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_api_token_digest_is_a_sha256")),
        sa.CheckConstraint(
            "project_id IS NOT NULL OR scope = 'admin'", name=op.f("ck_api_token_only_an_admin_spans_projects")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_api_token_project_id_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_token_digest")),
    )
    op.create_index(op.f("ix_api_token_project_id"), "api_token", ["project_id"])


def downgrade() -> None:
    op.drop_table("api_token")
    op.execute("DROP TYPE token_scope")
