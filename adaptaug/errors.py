"""The one error this package raises for bad input."""


class AdaptAugError(ValueError):
    """What was expected, what came, which file, field or operation, and the way out: in one sentence."""
