<%!
    def without_banners(body):
        return "\n".join(line for line in body.splitlines() if not line.strip().startswith("# ###")).strip()
%>\
"""${message or "This revision has no message."}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}
"""

% if not upgrades or "sa." in upgrades + downgrades:
import sqlalchemy as sa
% endif
from alembic import op
% if imports:
${imports}
% endif

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades or "pass" | without_banners,n}


def downgrade() -> None:
    ${downgrades or "pass" | without_banners,n}
