"""From recordings to a report: findings are weighed, accepted or not, and written down. No database in here."""
