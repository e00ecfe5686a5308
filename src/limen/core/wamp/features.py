"""What a realm announces: WELCOME.Details.roles. Nothing that is not done; `tests/core/wamp/test_features.py` tries
each."""

from __future__ import annotations

from typing import Any, Final

DEALER: Final = ("call_canceling", "call_timeout", "progressive_call_results", "testament_meta_api")
BROKER: Final = (
    "pattern_based_subscription",
    "payload_passthru_mode",
    "publication_trustlevels",
    "publisher_exclusion",
    "publisher_identification",
    "subscriber_blackwhite_listing",
)
DEALER_ALONE: Final = (
    "call_trustlevels",
    "caller_identification",
    "pattern_based_registration",
    "payload_passthru_mode",
    "progressive_call_invocations",
    "registration_meta_api",
    "registration_revocation",
    "session_meta_api",
    "shared_registration",
)
BROKER_ALONE: Final = ("event_retention", "session_meta_api", "subscription_meta_api")
"""Not where the realm is shared: what a process knows of its own sessions alone, or has kept since its own start."""


def features(*, shared: bool = False, history: bool = False) -> dict[str, Any]:
    """*shared*: other processes have realms of this domain. *history*: some is kept.

    >>> sorted(features()["broker"]["features"].items() - features(shared=True)["broker"]["features"].items())
    [('event_retention', True), ('session_meta_api', True), ('subscription_meta_api', True)]
    >>> "event_history" in features()["broker"]["features"]
    False
    """
    dealer, broker = list(DEALER), list(BROKER)
    if not shared:
        dealer += DEALER_ALONE
        broker += BROKER_ALONE
        if history:
            broker.append("event_history")
    return {
        "dealer": {"features": dict.fromkeys(sorted(dealer), True)},
        "broker": {"features": dict.fromkeys(sorted(broker), True)},
    }
