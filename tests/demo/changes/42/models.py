"""The models at the end of the history of the demonstration."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.Text, unique=True)


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (sa.Index("ix_orders_customer_id", "customer_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customers.id", name="fk_orders_customer_id"))
    total: Mapped[int]
    placed_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
