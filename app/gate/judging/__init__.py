"""From recordings to a report: findings get their severity, are accepted or not, and become entries. No database in
here."""
