from hypothesis import settings

# A busy machine is no reason for a test to fail.
settings.register_profile("unhurried", parent=settings(), deadline=None)
settings.load_profile("unhurried")
