"""The badge of a project: an image for its README, so it is asked for without a token."""

from __future__ import annotations

import re

from sqlmodel import Session, col, select

from app.gate.report.verdict import Verdict
from app.projects.errors import ProjectNotFound
from app.projects.models import SLUG, Project
from app.runs.models import Run

NAME = "migrations"
WORDS: dict[str, tuple[str, str]] = {
    Verdict.PASS: ("proved", "#2e7d32"),
    Verdict.FAIL: ("failed", "#c62828"),
    Verdict.ERROR: ("error", "#c62828"),
}
NONE = ("unknown", "#616161")
LETTER_WIDTH, MARGIN, HEIGHT = 7, 6, 20


def read_badge(session: Session, slug: str) -> str:
    """The verdict of the newest trusted run of a branch, as SVG.

    Raises ProjectNotFound, also for a project that did not make its badge public.
    """
    project = session.exec(
        select(Project).where(
            Project.slug == (slug if re.fullmatch(SLUG, slug) else ""),
            col(Project.public_badge),
            col(Project.purged_at).is_(None),
        )
    ).one_or_none()
    if project is None:
        raise ProjectNotFound(slug)
    verdict = session.exec(
        select(Run.verdict)
        .where(Run.project_id == project.id, col(Run.trusted), col(Run.change).is_(None))
        .order_by(col(Run.received_at).desc(), col(Run.id).desc())
        .limit(1)
    ).first()
    return draw(*(NONE if verdict is None else WORDS[verdict]))


def draw(word: str, colour: str) -> str:
    left, right = (len(text) * LETTER_WIDTH + 2 * MARGIN for text in (NAME, word))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" role="img"'
        f' aria-label="{NAME}: {word}"><title>{NAME}: {word}</title>'
        f'<rect width="{left}" height="{HEIGHT}" fill="#424242"/>'
        f'<rect x="{left}" width="{right}" height="{HEIGHT}" fill="{colour}"/>'
        f'<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2}" y="14">{NAME}</text><text x="{left + right / 2}" y="14">{word}</text></g></svg>'
    )
