"""The least application that reads a run by its id: what FastAPI, SQLModel and uvicorn cost without us."""

from __future__ import annotations

import os
from uuid import UUID

import sqlalchemy as sa
from fastapi import FastAPI, HTTPException
from sqlmodel import Field, Session, SQLModel

engine = sa.create_engine(os.environ["DATABASE_URL"])
app = FastAPI()


class Run(SQLModel, table=True):
    id: UUID = Field(primary_key=True)
    verdict: str
    commit: str | None
    tool_version: str
    duration_ms: float


@app.get("/runs/{run_id}")
def read_run(run_id: UUID) -> Run:
    with Session(engine) as session:
        run = session.get(Run, run_id)
        if run is None:
            raise HTTPException(404)
        return run
