"""What several checks share. None of it is a rule."""
