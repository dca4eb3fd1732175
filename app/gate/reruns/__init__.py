"""Further runs of the command: what one walk cannot show, or cannot be trusted with."""
