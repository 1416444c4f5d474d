"""Properties have no deadline: a loaded machine is no fault."""

from hypothesis import settings

settings.register_profile("pcaug", deadline=None)
settings.load_profile("pcaug")
