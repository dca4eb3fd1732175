"""Send the statements of the previous release again, on another schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from app.database import utcnow
from app.gate.server.database import Database

DIRECTORY = Path(__file__).parent


class Sent(NamedTuple):
    statement: str  # with the placeholders of psycopg2
    parameters: Any
    rows: int


@dataclass
class Recorded:
    at: datetime
    before: dict[str, Any]  # {"api_token": a row that was there}
    sent: list[Sent]

    def write(self, path: Path) -> None:
        """A line for each statement, since most are sent several times, and then a line for each time."""
        statements = list(dict.fromkeys(each.statement for each in self.sent))
        sent = [[statements.index(each.statement), each.parameters, each.rows] for each in self.sent]
        head = {"at": self.at.isoformat(), "before": self.before, "statements": len(statements)}
        path.write_text("".join(f"{json.dumps(line)}\n" for line in [head, *statements, *sent]))

    @classmethod
    def read(cls, path: Path) -> Recorded:
        head, *lines = map(json.loads, path.read_text().splitlines())
        statements, sent = lines[: head["statements"]], lines[head["statements"] :]
        return cls(
            datetime.fromisoformat(head["at"]),
            head["before"],
            [Sent(statements[number], parameters, rows) for number, parameters, rows in sent],
        )


def replay(recorded: Recorded, database: Database) -> list[str]:
    """The statements that PostgreSQL refused, or that gave another number of rows."""
    age = utcnow() - recorded.at
    different = []
    with database.connect() as connection, connection.cursor() as cursor:
        for table, row in recorded.before.items():
            insert = f"INSERT INTO {table} SELECT * FROM json_populate_record(NULL::{table}, %s)"
            cursor.execute(insert, [json.dumps(row)])
        for statement, parameters, rows in recorded.sent:
            try:
                cursor.execute(statement, decode(parameters, age))
            except Exception as error:  # noqa: BLE001 - each is told with its statement
                different.append(f"{statement}\n{error}")
            else:
                if cursor.rowcount != rows:
                    different.append(f"{statement}\ngave {cursor.rowcount} rows, not {rows}")
    return different


def decode(value: Any, age: timedelta) -> Any:
    """Times are as far back as they were when they were sent."""
    if isinstance(value, dict):
        if value.keys() == {"time"}:
            return datetime.fromisoformat(value["time"]) + age
        if value.keys() == {"bytes"}:
            return bytes.fromhex(value["bytes"])
        return {name: decode(item, age) for name, item in value.items()}
    if isinstance(value, list):
        return [decode(item, age) for item in value]
    return value
