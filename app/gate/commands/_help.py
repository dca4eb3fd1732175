"""The layout of help and pages, as all commands have it."""

from app.help import HelpFormatter, completes, filled, plain, terminal_width

__all__ = ["HelpFormatter", "completes", "filled", "plain", "terminal_width"]
