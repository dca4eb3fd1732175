"""Where the shop's tables meet. One is forgotten."""

from shop.base import Base
from shop.orders import Order

__all__ = ["Order"]
metadata = Base.metadata
