"""What a realm announces: WELCOME.Details.roles. Nothing that is not done; `tests/core/wamp/test_features.py` tries
each."""

from __future__ import annotations

from typing import Any, Final

DEALER: Final = (
    "call_canceling",
    "call_timeout",
    "call_trustlevels",
    "caller_identification",
    "pattern_based_registration",
    "payload_passthru_mode",
    "progressive_call_invocations",
    "progressive_call_results",
    "registration_meta_api",
    "registration_revocation",
    "session_meta_api",
    "shared_registration",
    "testament_meta_api",
)
BROKER: Final = (
    "event_retention",
    "pattern_based_subscription",
    "payload_passthru_mode",
    "publication_trustlevels",
    "publisher_exclusion",
    "publisher_identification",
    "session_meta_api",
    "subscriber_blackwhite_listing",
    "subscription_meta_api",
)


def features(*, history: bool = False) -> dict[str, Any]:
    """*history*: some is kept. Whether several processes are one router makes no difference.

    >>> ["event_history" in features(history=history)["broker"]["features"] for history in (False, True)]
    [False, True]
    """
    broker = [*BROKER, "event_history"] if history else BROKER
    return {
        "dealer": {"features": dict.fromkeys(sorted(DEALER), True)},
        "broker": {"features": dict.fromkeys(sorted(broker), True)},
    }
