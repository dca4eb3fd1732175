"""Small Alembic projects of every shape that the gate must carry without being told of it.

All keep the same library of books: `author`, then `book`, then an ISBN and an index. In each, one downgrade forgets to
drop that index: a shape is carried if the gate finds this one defect and nothing else. They are written for any
SQLAlchemy from 1.4 on and any Alembic from 1.8 on.
"""

from tests.gate.shapes import commands, connections, histories, several_walks
from tests.gate.shapes.shape import SHAPES

__all__ = ["SHAPES", "commands", "connections", "histories", "several_walks"]
