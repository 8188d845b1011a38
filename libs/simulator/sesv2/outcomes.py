"""What becomes of an accepted email: its events, and what they change in the account."""

from __future__ import annotations

from functools import partial

from libs.simulator import magic_recipients
from libs.simulator.core import Core
from libs.simulator.event_timing import SeededRandom, Step, timeline
from libs.simulator.sesv2 import events
from libs.simulator.sesv2.account import SIMULATOR_DOMAIN, Account, ConfigurationSet

SERVICE = "sesv2"

COURSES: dict[str, list[str]] = {
    "undeliverable": ["Send", "Bounce:Permanent/General"],
    "no_email": ["Send", "Bounce:Permanent/NoEmail"],
    "suppressed": ["Send", "Bounce:Permanent/OnAccountSuppressionList"],
    "transient": ["Send", "Bounce:Transient/General"],
    "mailbox_full": ["Send", "Bounce:Transient/MailboxFull"],
    "undetermined": ["Send", "Bounce:Undetermined/Undetermined"],
    "complaint": ["Send", "Delivery", "Complaint"],
    "out_of_office": ["Send", "Delivery", "Bounce:Transient/General"],
    "delayed": ["Send", "DeliveryDelay", "Delivery"],
    "rejected": ["Reject"],
    "silent": [],
    "unknown": [],
    "unread": ["Send", "Delivery"],
    "clicks": ["Send", "Delivery", "Open", "Click"],
    "unsubscribes": ["Send", "Delivery", "Subscription"],
}


class Future:
    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account

    def plan(self, sent: events.Sent, configuration_set: ConfigurationSet | None, dice: SeededRandom) -> None:
        for i, recipient in enumerate(sent.mail.recipients):
            outcome = magic_recipients.outcome_of(recipient)
            names = self.core.outcomes.get((SERVICE, recipient)) or self._course(
                sent, recipient, configuration_set, dice
            )
            # Send is about the message, not about a recipient: it comes once.
            names = [n for n in names if i == 0 or n not in ("Send", "Reject", "RenderingFailure")]
            for step in timeline(self.core.behaviour, dice, names, sent.requested_at, outcome):
                kind = events.API_NAMES[step.name.partition(":")[0]]
                topics = configuration_set.topics(kind) if configuration_set else []
                self.core.emitter.at(step.due, topics, partial(self._happen, sent, step, recipient))

    def _course(
        self, sent: events.Sent, recipient: str, configuration_set: ConfigurationSet | None, dice: SeededRandom
    ) -> list[str]:
        behaviour = self.core.behaviour
        opened, clicked = dice.chance(behaviour.read_share), dice.chance(behaviour.click_share)
        failed = dice.chance(behaviour.fail_share)
        if sent.mail.missing is not None:
            return ["RenderingFailure"]
        if self.account.is_suppressed(recipient, configuration_set):
            return COURSES["suppressed"]
        outcome = magic_recipients.outcome_of(recipient)
        if outcome in COURSES:
            return COURSES[outcome]
        if failed:
            return COURSES["transient"]
        names = ["Send", "Delivery"]
        # Opens are seen through an image and clicks through rewritten links: both need HTML.
        if opened and sent.mail.has_html:
            names += ["Open", "Click"] if clicked and sent.mail.link else ["Open"]
        return names

    def _happen(self, sent: events.Sent, step: Step, recipient: str) -> str:
        """Hard bounces and complaints put the address on the suppression list, unsubscribing ends a subscription."""
        simulated = recipient.endswith("@" + SIMULATOR_DOMAIN)
        reason = "COMPLAINT" if step.name == "Complaint" else "BOUNCE"
        hard = step.name.startswith("Bounce:Permanent") and "Suppress" not in step.name
        if (hard or step.name == "Complaint") and reason in self.account.suppressed_reasons and not simulated:
            self.account.suppress(recipient, reason, step.happens, sent.id, sent.feedback_id)
        if step.name == "Subscription" and sent.contact_list is not None:
            contact = {"ContactListName": sent.contact_list, "EmailAddress": recipient, "UnsubscribeAll": True}
            self.account.contacts[(sent.contact_list, recipient)] = contact
        return events.render(sent, step.name, recipient, step.happens)
