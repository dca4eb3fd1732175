"""What several checks share. Nothing in here is a rule."""
