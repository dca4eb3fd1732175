"""What every table of the shop is declared on."""

from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass
