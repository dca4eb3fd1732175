"""What the migrations make: the notes of old orders have a table of their own."""

import sqlalchemy as sa

metadata = sa.MetaData()
orders = sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True))
orders_note = sa.Table("orders_note", metadata, sa.Column("id", sa.Integer), sa.Column("note", sa.Text))
