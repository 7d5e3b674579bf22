"""The reasons for which a device rejects a command."""


class Refusal(Exception):
    """The device rejects a command."""


class Locked(Refusal):
    """A lock rejects the command."""


class UnknownApp(Refusal):
    """The device does not run the app."""


class UnknownService(Refusal):
    """The service has no container."""


class NoImage(Refusal):
    """The image of a service is not downloaded yet, and its container was removed."""


class Broken(Refusal):
    """An internal error of the Supervisor."""
