"""Tables that a file declares, from its source: it is parsed and never imported."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any, Iterator, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import MetaData

_LONGEST_FILE = 2000000
_DEEPEST = 20  # classes, names and files from one to the next


class Declared(NamedTuple):
    """A table of one of the metadata that Alembic sees."""

    name: str  # of the class, or of the variable
    table: str  # with its schema, if that stands in the file: "orders", "shop.orders"
    line: int


class Source:
    """One file of the project."""

    def __init__(self, module: str, path: str) -> None:
        self.module = module
        self.path = path
        self.is_package = os.path.basename(path) == "__init__.py"
        self.body: list[ast.stmt] = []
        with open(path, "rb") as file:
            text = file.read(_LONGEST_FILE)
        self.may_declare = any(
            word in text for word in (b"__tablename__", b"table=True", b"table = True", b"Table(", b".Model)")
        )
        self._text = text
        self._names: dict[str, Any] | None = None

    def parse(self) -> None:
        """Raises SyntaxError, ValueError or RecursionError."""
        self.body = ast.parse(self._text).body

    @property
    def names(self) -> dict[str, Any]:
        """What a name of the module stands for: a class, or (module, attribute) of an import."""
        if self._names is None:
            self._names = {}
            for statement in self.body:
                if isinstance(statement, ast.ClassDef):
                    self._names[statement.name] = statement
                elif isinstance(statement, ast.ImportFrom):
                    self._names.update(
                        (alias.asname or alias.name, (self._module_of(statement), alias.name))
                        for alias in statement.names
                    )
                elif isinstance(statement, ast.Import):
                    self._names.update(
                        (
                            alias.asname or alias.name.split(".")[0],
                            (alias.name if alias.asname else alias.name.split(".")[0], None),
                        )
                        for alias in statement.names
                    )
        return self._names

    def _module_of(self, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ""
        parts = self.module.split(".") if self.is_package else self.module.split(".")[:-1]
        parts = parts[: len(parts) - statement.level + 1]
        return ".".join([*parts, *([statement.module] if statement.module else [])])

    def can_be_imported(self) -> bool:
        """Whether all that it imports is installed, and it is no program."""
        for statement in self.body:
            if isinstance(statement, ast.If) and "__name__" in ast.dump(statement.test):
                return False
            if isinstance(statement, ast.Import):
                tops = [alias.name.split(".")[0] for alias in statement.names]
            elif isinstance(statement, ast.ImportFrom) and not statement.level:
                tops = [(statement.module or "").split(".")[0]]
            else:
                continue
            if not all(map(_is_there, tops)):
                return False
        return True


def _is_there(top: str) -> bool:
    if top in sys.modules:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


class Project:
    """Files of the project that were not imported, by their module, next to what was."""

    def __init__(self, sources: dict[str, str], known: list[MetaData]) -> None:
        self._paths = sources
        self._known = known
        self._read: dict[str, Source | None] = {}

    def declared_in(self, module: str) -> Iterator[Declared]:
        """The tables that the file of that module would add to the metadata."""
        source = self._source(module)
        if source is None or not source.may_declare or not source.can_be_imported():
            return
        for statement in source.body:
            found = None
            if isinstance(statement, ast.ClassDef):
                found = self._of_class(source, statement)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and isinstance(statement.value, ast.Call):
                found = self._of_call(source, statement, statement.value)
            if found is not None:
                yield found

    def _source(self, module: str) -> Source | None:
        if module not in self._read:
            self._read[module] = None
            if module in self._paths:
                try:
                    source = Source(module, self._paths[module])
                    source.parse()
                    self._read[module] = source
                except (OSError, SyntaxError, ValueError, RecursionError):
                    pass
        return self._read[module]

    def _of_class(self, source: Source, node: ast.ClassDef) -> Declared | None:
        own = _assigned(node)
        if "metadata" in own or _constant(own.get("__abstract__")) is True:
            return None
        metadata, base = self._metadata_of(source, node, 0)
        if metadata is None:
            return None
        name = _constant(own.get("__tablename__"))
        if name is None and "__tablename__" not in own:
            if any(word.arg == "table" and _constant(word.value) is True for word in node.keywords):
                name = node.name.lower()  # as SQLModel calls it
            elif hasattr(base, "__fsa__") and any(_is_primary_key(value) for value in own.values()):
                name = _in_snake_case(node.name)  # as Flask-SQLAlchemy does
        if not isinstance(name, str):
            return None
        schema, is_known = _schema_of(own.get("__table_args__"))
        return None if not is_known else Declared(node.name, _full(schema or metadata.schema, name), node.lineno)

    def _of_call(self, source: Source, statement: ast.stmt, call: ast.Call) -> Declared | None:
        """`orders = Table("orders", metadata, …)`"""
        function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
        if function != "Table" or len(call.args) < 2:
            return None
        name, metadata = _constant(call.args[0]), self._resolve(source, call.args[1], 0)
        if not isinstance(name, str) or not any(metadata is each for each in self._known):
            return None
        schema = next((_constant(word.value) for word in call.keywords if word.arg == "schema"), None)
        return Declared(name, _full(schema or metadata.schema, name), statement.lineno)

    def _metadata_of(self, source: Source, node: ast.ClassDef, depth: int) -> tuple[Any, Any]:
        """The known metadata of a class, and the live base or registry from which it has it; (None, None) otherwise."""
        for decorator in node.decorator_list:  # @registry.mapped, with arguments or without
            decorator = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(decorator, ast.Attribute) and decorator.attr in ("mapped", "mapped_as_dataclass"):
                owner = self._resolve(source, decorator.value, depth + 1)
                metadata = None if isinstance(owner, tuple) else _attribute(owner, "metadata")
                if any(metadata is each for each in self._known):
                    return metadata, owner
        for expression in node.bases:
            base = self._resolve(source, expression, depth + 1)
            if isinstance(base, tuple) and depth < _DEEPEST:
                if "metadata" in _assigned(base[1]):
                    return None, None
                found = self._metadata_of(base[0], base[1], depth + 1)
                if found[0] is not None:
                    return found
            elif isinstance(base, type):
                metadata = _attribute(base, "metadata")
                if metadata is not None:
                    return (metadata, base) if any(metadata is each for each in self._known) else (None, None)
        return None, None

    def _resolve(self, source: Source, expression: ast.expr, depth: int) -> Any:
        """What an expression stands for: a live object, (source, class) in a file that was not imported, or None."""
        if depth > _DEEPEST:
            return None
        if isinstance(expression, ast.Name):
            return self._look_up(source, expression.id, depth)
        if isinstance(expression, ast.Attribute):
            owner = self._resolve(source, expression.value, depth + 1)
            if isinstance(owner, Source):
                return self._look_up(owner, expression.attr, depth + 1)
            return None if owner is None or isinstance(owner, tuple) else _attribute(owner, expression.attr)
        if isinstance(expression, ast.Subscript):
            return self._resolve(source, expression.value, depth + 1)
        return None

    def _look_up(self, source: Source, name: str, depth: int) -> Any:
        there = source.names.get(name)
        if isinstance(there, ast.ClassDef):
            return (source, there)
        if there is None:
            return None
        module, attribute = there
        if attribute is None:
            return sys.modules.get(module) or self._source(module)
        if module in sys.modules:
            found = _attribute(sys.modules[module], attribute)
            if found is not None:
                return found
        inner = module + "." + attribute
        if inner in sys.modules:
            return sys.modules[inner]
        if self._source(inner) is not None:
            return self._source(inner)
        other = self._source(module) if module not in sys.modules else None
        return self._look_up(other, attribute, depth + 1) if other is not None and depth < _DEEPEST else None


def _attribute(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name, None)
    except Exception:  # a proxy, as Flask's, may refuse
        return None


def _assigned(node: ast.ClassDef) -> dict[str, ast.expr | None]:
    """What the class assigns or defines itself. A method counts as a value that is not known."""
    found: dict[str, ast.expr | None] = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            found.update((target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            found[statement.target.id] = statement.value
        elif isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            found[statement.name] = None
    return found


def _constant(expression: ast.expr | None) -> Any:
    return expression.value if isinstance(expression, ast.Constant) else None


def _schema_of(arguments: ast.expr | None) -> tuple[str | None, bool]:
    """The schema in `__table_args__`, and whether that can be known from the text."""
    if arguments is None:
        return None, True
    if isinstance(arguments, ast.Tuple):
        options = arguments.elts[-1] if arguments.elts and isinstance(arguments.elts[-1], ast.Dict) else None
        if options is None:
            return None, not any(isinstance(each, (ast.Starred, ast.Name)) for each in arguments.elts[-1:])
        arguments = options
    if not isinstance(arguments, ast.Dict):
        return None, False
    for key, value in zip(arguments.keys, arguments.values):
        if key is None:
            return None, False  # **more
        if _constant(key) == "schema":
            schema = _constant(value)
            return schema, isinstance(schema, str)
    return None, True


def _is_primary_key(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and any(
        word.arg == "primary_key" and _constant(word.value) is True for word in value.keywords
    )


def _in_snake_case(name: str) -> str:
    letters = []
    for place, letter in enumerate(name):
        begins_word = (
            letter.isupper()
            and place > 0
            and (not name[place - 1].isupper() or (place + 1 < len(name) and name[place + 1].islower()))
        )
        letters.append("_" + letter if begins_word else letter)
    return "".join(letters).lower()


def _full(schema: str | None, name: str) -> str:
    return schema + "." + name if schema else name
