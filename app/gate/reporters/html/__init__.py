"""One self-contained HTML page: the verdict, each finding with its place and its fix, what each revision locks.

No script, and nothing from anywhere else.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

from app.gate.report.model import Report
from app.gate.reporters.html.page import environment, style
from app.gate.reporters.html.view import run_view


def render(report: Report) -> str:
    """The page. Its policy forbids everything but its own style, whatever a report might smuggle in."""
    sheet = style()
    digest = b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    template = environment().get_template("report.html")
    return template.render(run=run_view(report), style=sheet, style_digest=digest) + "\n"
