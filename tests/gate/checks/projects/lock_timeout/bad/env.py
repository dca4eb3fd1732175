"""Upgrades wait for each other, but for a table they wait as long as it takes."""

import os
import time

from alembic import context
from shop.models import metadata
from sqlalchemy import create_engine, pool, text

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
    with engine.connect() as connection:
        while not connection.scalar(text("SELECT pg_try_advisory_lock(4920173)")):
            connection.rollback()
            time.sleep(0.2)
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
