"""What the realms of `limen serve` are told of an action. Loaded when the first one acts: what it stands on takes
time."""

from __future__ import annotations

from typing import Final

from limen.core.wamp.verdict import ALLOWED, DENIED, NOT_THERE, Verdict

_REACHES: Final = Verdict(True, disclose=True)


class Verdicts:
    """*allowed*: whether it is; *reaches*: it is, and the other side is told who acts."""

    allowed, reaches = ALLOWED, _REACHES

    def of(self, allowed: bool, action: str) -> Verdict:
        """On grounds (`parties.py`), and for whatever is denied: who may not call does not learn what there is.

        >>> Verdicts().of(False, "call").error, Verdicts().of(True, "publish").disclose
        ('wamp.error.no_such_procedure', True)
        """
        if allowed:
            return self.reaches
        return NOT_THERE if action == "call" else DENIED
