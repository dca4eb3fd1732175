"""What a labelled release is made of: the code that runs, the schema under it, and a revision."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MODELS = """
class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(100), unique=True)
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customers.id"))
    note: Mapped[str | None] = mapped_column(sa.String(50))
    status: Mapped[str] = mapped_column(sa.String(20), server_default="new")
    total: Mapped[Decimal] = mapped_column(sa.Numeric(10, 2), default=Decimal(0))
    placed_at: Mapped[datetime] = mapped_column(sa.DateTime, server_default=sa.func.now())
    customer: Mapped[Customer] = relationship(back_populates="orders")
"""
USE = """
customer = Customer(email="ann@example.com")
session.add(customer)
session.flush()
order = Order(customer_id=customer.id, note="n" * 50)
session.add(order)
session.flush()
session.refresh(order)
assert order.status == "new" and order.placed_at <= datetime.now() + timedelta(days=1)
order.note, order.total = "other", Decimal("99999999.99")
session.flush()
assert session.execute(sa.select(Order.note).join(Order.customer)).scalars().all() == ["other"]
session.delete(order)
session.flush()
"""


class Said(StrEnum):
    """What `breaking-change` is to say at most."""

    NOTHING = "nothing"
    NOTICE = "a notice"  # this code passes; other code of the same models might not
    WARNING = "a warning"  # this code fails


@dataclass(frozen=True, kw_only=True)
class Case:
    """A release that runs (its models, and what it does with them), and a revision that is applied under it.

    The tables are what the models create, changed by `before`. `use` is run before the revision, where it passes, and after
    it: that decides whether the code breaks.
    """

    name: str
    upgrade: str  # the body of the revision's upgrade()
    said: Said
    models: str = MODELS
    before: str = ""  # as `upgrade`
    use: str = USE
    only_adds: bool = False  # what no statement can mind: the code need not be asked

    @property
    def schema(self) -> str:
        return "case_" + re.sub(r"\W+", "_", self.name).strip("_").lower()[:58]


def breaks(name: str, upgrade: str, **fields: Any) -> Case:
    return Case(name=name, upgrade=upgrade, said=Said.WARNING, **fields)


def safe(name: str, upgrade: str, **fields: Any) -> Case:
    return Case(name=name, upgrade=upgrade, said=Said.NOTHING, **fields)


def adds(name: str, upgrade: str, **fields: Any) -> Case:
    return Case(name=name, upgrade=upgrade, said=Said.NOTHING, only_adds=True, **fields)


def depends(name: str, upgrade: str, **fields: Any) -> Case:
    return Case(name=name, upgrade=upgrade, said=Said.NOTICE, **fields)


def sql(*statements: str) -> str:
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def with_order(*columns: str, without: str = "") -> str:
    """The models, with those columns of Order's besides or in place of one."""
    lines = [line for line in MODELS.splitlines() if not without or not line.strip().startswith(f"{without}:")]
    place = next(number for number, line in enumerate(lines) if "customer: Mapped[Customer]" in line)
    return "\n".join([*lines[:place], *(f"    {column}" for column in columns), *lines[place:]])


def also(*lines: str) -> str:
    """What the code does, and more with `order` before that is deleted."""
    first, last = USE.split("session.delete(order)")
    return "\n".join([first, *lines, "session.delete(order)" + last])
