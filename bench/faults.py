"""What makes a bench fail.

In:     what went wrong, and the log of the server it went wrong with.
Out:    one exception that carries both.
Actors: none.
Never:  does a fault lose the log that explains it.
"""


class BenchFault(Exception):
    """The bench, or one run of it, has no figure to show."""

    def __init__(self, text: str, log: str = ""):
        super().__init__(text)
        self.text = text
        self.log = log

    def show(self) -> str:
        if not self.log.strip():
            return self.text
        lines = self.log.rstrip().splitlines()[-60:]
        return "\n".join([self.text, "--- the server's log ---", *lines, "---"])
