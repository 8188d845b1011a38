"""A caller reads his own writes on real processes, whose copies follow by way of SNS and SQS."""

from __future__ import annotations

from deploy.smoke.platform import TEMPLATE, Platform


def test_consent_recorded_and_a_message_posted_next_is_accepted_twenty_times_of_twenty(on: Platform) -> None:
    messages = [on.send(on.contact(f"+1505555{n:04d}", f"Person {n}"), TEMPLATE)["messageId"] for n in range(100, 120)]
    for message in messages:
        on.reaches(message, "read")
        assert len(on.accepted(message_id=message)) == 1
