"""Magic recipients: numbers with a fixed behaviour, so that a test needs no control call.

Two effects are possible. `fault` changes what happens to the request (as a fault rule would, see faults.py), `fate`
is the name of the outcome of the accepted message; each channel translates it to its events. AWS's own
simulator destinations are supported too (userguide, test-phone-numbers).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Magic:
    """The behaviour of a magic number; `times` limits the fault per message id (None: always)."""

    meaning: str
    fate: str | None = None
    fault: str | None = None
    times: int | None = None


NUMBERS: dict[str, Magic] = {
    "+12025550180": Magic("late UNKNOWN: no receipt but a final one after 72 h", fate="unknown"),
    "+12025550181": Magic("receipts come one minute late", fate="late"),
    "+12025550182": Magic("refused by the carrier / busy line", fate="blocked"),
    "+12025550183": Magic("unreachable / no answer / TTL expires", fate="unreachable"),
    "+12025550184": Magic("WhatsApp window is closed whatever came in (131047)", fate="window_closed"),
    "+12025550185": Magic("WhatsApp throughput reached (130429)", fate="throughput"),
    "+12025550186": Magic("WhatsApp pair rate reached (131056)", fate="pair_rate"),
    "+12025550187": Magic("WhatsApp per-user marketing limit (131049)", fate="ecosystem"),
    "+12025550188": Magic("503 on every request, never accepted", fault="outage_503"),
    "+12025550189": Magic("refused as an invalid number", fault="invalid_number"),
    "+12025550190": Magic("undeliverable (131026, TEXT_INVALID, VOICE_FAILED, RCS_FAILED)", fate="undeliverable"),
    "+12025550191": Magic("fails after it was sent", fate="fails_after_sent"),
    "+12025550192": Magic("opted out (131050 for marketing, OPTED_OUT for SMS)", fate="opted_out"),
    "+12025550193": Magic("accepted, never any receipt", fate="silent"),
    "+12025550194": Magic("delivered, never read", fate="unread"),
    "+12025550195": Magic("throttled once per message id, then fine", fault="throttle_429", times=1),
    "+12025550196": Magic("accepted, then the response hangs", fault="accept_then_hang"),
    "+12025550197": Magic("accepted, then 500", fault="accept_then_500"),
    "+12025550198": Magic("accepted, then the connection is reset", fault="accept_then_reset"),
    "+12025550199": Magic("every receipt three times and in reverse order", fate="chaotic"),
    # AWS's own simulator destinations.
    "+14254147755": Magic("AWS simulator: success", fate="normal"),
    "+14254147167": Magic("AWS simulator: failure", fate="undeliverable"),
}


EMAIL_DOMAINS = ("example.com", "example.net", "example.org")
EMAILS: dict[str, Magic] = {
    "bounce": Magic("Bounce Permanent/General, then on the suppression list", fate="undeliverable"),
    "no-such-user": Magic("Bounce Permanent/NoEmail, then on the suppression list", fate="no_email"),
    "mailbox-full": Magic("Bounce Transient/MailboxFull", fate="mailbox_full"),
    "soft-bounce": Magic("Bounce Transient/General", fate="transient"),
    "undetermined": Magic("Bounce Undetermined", fate="undetermined"),
    "complaint": Magic("delivered, then Complaint and on the suppression list", fate="complaint"),
    "reject": Magic("Reject (bad content)", fate="rejected"),
    "delay": Magic("DeliveryDelay, then Delivery", fate="delayed"),
    "silent": Magic("accepted, never any event", fate="silent"),
    "unread": Magic("delivered, never opened", fate="unread"),
    "click": Magic("delivered, opened, clicked", fate="clicks"),
    "unsubscribe": Magic("delivered, then Subscription", fate="unsubscribes"),
    "late": Magic("events come one minute late", fate="late"),
    "chaotic": Magic("every event three times and in reverse order", fate="chaotic"),
    "outage": Magic("503 on every request, never accepted", fault="outage_503"),
    "throttle-once": Magic("throttled once per message id, then fine", fault="throttle_429", times=1),
    "accept-hang": Magic("accepted, then the response hangs", fault="accept_then_hang"),
    "accept-500": Magic("accepted, then 500", fault="accept_then_500"),
    "accept-reset": Magic("accepted, then the connection is reset", fault="accept_then_reset"),
}
"""By local part, at example.com, example.net and example.org; a label as in `bounce+42@example.com` is allowed."""
MAILBOX_SIMULATOR: dict[str, Magic] = {
    "success": Magic("AWS mailbox simulator: success", fate="normal"),
    "bounce": Magic("AWS mailbox simulator: bounce", fate="undeliverable"),
    "ooto": Magic("AWS mailbox simulator: out of office", fate="out_of_office"),
    "complaint": Magic("AWS mailbox simulator: complaint", fate="complaint"),
    "suppressionlist": Magic("AWS mailbox simulator: on the suppression list", fate="suppressed"),
}
"""At simulator.amazonses.com."""


def of(to: str | None) -> Magic | None:
    """The behaviour of a phone number or email address."""
    if not to or "@" not in to:
        return NUMBERS.get(to) if to else None
    local, _, domain = to.rpartition("@")
    local = local.partition("+")[0].lower()
    if domain.lower() == "simulator.amazonses.com":
        return MAILBOX_SIMULATOR.get(local)
    return EMAILS.get(local) if domain.lower() in EMAIL_DOMAINS else None


def outcome_of(to: str) -> str:
    """The outcome for a recipient, `normal` if it is not magic."""
    magic = of(to)
    return magic.fate if magic and magic.fate else "normal"
