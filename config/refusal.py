"""How Volens refuses to start: one sentence, and a status that no supervisor takes for bad luck."""

import sys
from typing import NoReturn

STATUS = 3  # of a process that will not start however often it is tried


class CannotStart(SystemExit):
    """Ends the process; its text is the sentence that was printed."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.code = STATUS


def refuse_to_start(reason: str) -> NoReturn:
    """Print why Volens cannot start and what to do, and end."""
    sentence = f"Volens cannot start: {reason}"
    print(sentence, file=sys.stderr, flush=True)
    raise CannotStart(sentence)
