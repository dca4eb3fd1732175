"""Where the shop's tables meet."""

from shop.base import Base
from shop.customers import Customer
from shop.orders import Order

__all__ = ["Customer", "Order"]
metadata = Base.metadata
