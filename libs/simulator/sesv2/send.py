"""SendEmail and SendBulkEmail."""

from __future__ import annotations

import base64
from typing import Any

from libs.simulator.core import Addressee, Core
from libs.simulator.errors import ProviderError
from libs.simulator.sesv2 import compose, events
from libs.simulator.sesv2.account import SIMULATOR_DOMAIN, Account, ConfigurationSet
from libs.simulator.sesv2.compose import Mail, bad, bare
from libs.simulator.sesv2.outcomes import Future

SERVICE = "sesv2"
OUR_ID_TAGS = ("messageId", "message_id", "wecareMessageId")
MAX_RECIPIENTS, MAX_ENTRIES = 50, 50
ENTRY_STATUS = {
    "MessageRejected": "MESSAGE_REJECTED",
    "NotFoundException": "TEMPLATE_NOT_FOUND",
    "TooManyRequestsException": "ACCOUNT_THROTTLED",
    "LimitExceededException": "ACCOUNT_DAILY_QUOTA_EXCEEDED",
    "BadRequestException": "INVALID_PARAMETER",
    "AccountSuspendedException": "ACCOUNT_SUSPENDED",
    "SendingPausedException": "ACCOUNT_SENDING_PAUSED",
}


class Sender:
    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account
        self.future = Future(core, account)

    def prepare(self, params: dict[str, Any]) -> Addressee | None:
        to = params.get("Destination", {}).get("ToAddresses")
        return Addressee(bare(to[0]), our_id(tags_of(params.get("EmailTags")))) if to else None

    async def send(self, params: dict[str, Any]) -> dict[str, Any]:
        configuration_set = self.account.set_of(params.get("ConfigurationSetName"))
        mail = self._mail(params)
        self._check(mail, configuration_set)
        options = params.get("ListManagementOptions")
        if options is not None:
            self._check_list(options, mail)
        message_id = self._accept(
            mail, configuration_set, checked_tags(params.get("EmailTags")), "SendEmail", jsonable(params), options
        )
        return {"MessageId": message_id}

    async def bulk(self, params: dict[str, Any]) -> dict[str, Any]:
        entries = params["BulkEmailEntries"]
        if not 1 <= len(entries) <= MAX_ENTRIES:
            raise bad(f"BulkEmailEntries must have 1 to {MAX_ENTRIES} entries")
        if "Template" not in params["DefaultContent"]:
            raise bad("DefaultContent needs a Template")
        try:
            configuration_set = self.account.set_of(params.get("ConfigurationSetName"))
        except ProviderError as error:
            failed = {"Status": "CONFIGURATION_SET_NOT_FOUND", "Error": error.message}
            return {"BulkEmailEntryResults": [failed for _ in entries]}
        return {"BulkEmailEntryResults": [self._entry(params, entry, configuration_set) for entry in entries]}

    def _entry(
        self, params: dict[str, Any], entry: dict[str, Any], configuration_set: ConfigurationSet | None
    ) -> dict[str, Any]:
        """One recipient of a bulk call: failures are results, not exceptions."""
        try:
            to = entry["Destination"].get("ToAddresses") or [""]
            fault = self.core.faults.draw(SERVICE, "SendBulkEmail.entry", bare(to[0]))
            if fault is not None:
                return {"Status": fault.code or "TRANSIENT_FAILURE", "Error": fault.message or "Simulated failure."}
            mail = self._entry_mail(params, entry)
            self._check(mail, configuration_set)
            tags = tags_of(params.get("DefaultEmailTags")) | checked_tags(entry.get("ReplacementTags"))
            shared = {k: v for k, v in params.items() if k != "BulkEmailEntries"}
            payload = jsonable(shared | {"BulkEmailEntries": [entry]})
            message_id = self._accept(mail, configuration_set, tags, "SendBulkEmail", payload, None)
        except ProviderError as error:
            return {"Status": ENTRY_STATUS.get(error.code, "FAILED"), "Error": error.message}
        return {"Status": "SUCCESS", "MessageId": message_id}

    def _source(self, params: dict[str, Any]) -> str:
        source: str | None = params.get("FromEmailAddress")
        if source is None:
            raise bad("FromEmailAddress is required")
        compose.check_address(source)
        return source

    def _mail(self, params: dict[str, Any]) -> Mail:
        content, destination = params["Content"], params.get("Destination", {})
        if len(content) != 1:
            raise bad("Content must have exactly one of Simple, Raw and Template")
        if "Raw" in content:
            return compose.from_raw(content["Raw"]["Data"], params.get("FromEmailAddress"), destination)
        source, reply_to = self._source(params), params.get("ReplyToAddresses", [])
        if "Simple" in content:
            simple = content["Simple"]
            text, html = (simple["Body"].get(k, {}).get("Data", "") for k in ("Text", "Html"))
            if not text and not html:
                raise bad("Body needs Text or Html")
            subject, more = simple["Subject"]["Data"], simple.get("Headers", [])
            return compose.from_parts(source, destination, subject, text, html, more, reply_to)
        template = content["Template"]
        data = compose.template_data(template.get("TemplateData"))
        return self._rendered(source, destination, template, data, template.get("Headers", []), reply_to)

    def _entry_mail(self, params: dict[str, Any], entry: dict[str, Any]) -> Mail:
        template = params["DefaultContent"]["Template"]
        replaced = entry.get("ReplacementEmailContent", {}).get("ReplacementTemplate", {})
        data = compose.template_data(template.get("TemplateData"))
        data |= compose.template_data(replaced.get("ReplacementTemplateData"))
        headers = entry.get("ReplacementHeaders", template.get("Headers", []))
        reply_to = params.get("ReplyToAddresses", [])
        return self._rendered(self._source(params), entry["Destination"], template, data, headers, reply_to)

    def _rendered(
        self, source: str, destination: dict[str, Any], template: dict[str, Any], data: dict[str, Any],
        headers: list[dict[str, str]], reply_to: list[str],
    ) -> Mail:  # fmt: skip
        name = template.get("TemplateName") or template.get("TemplateArn", "").rpartition("/")[2]
        content = template.get("TemplateContent")
        if content is None:
            if name not in self.account.templates:
                raise ProviderError("NotFoundException", f"Template {name} does not exist.")
            content = self.account.templates[name]["TemplateContent"]
        parts, missing = {}, None
        for part in ("Subject", "Text", "Html"):
            parts[part], lacking = compose.render(content.get(part) or "", data)
            missing = missing or lacking
        return compose.from_parts(
            source, destination, parts["Subject"], parts["Text"], parts["Html"], headers, reply_to, name, missing
        )

    def _check(self, mail: Mail, configuration_set: ConfigurationSet | None) -> None:
        """The checks of SES before it accepts a message."""
        account, count = self.account, len(mail.recipients)
        if account.suspended:
            raise ProviderError("AccountSuspendedException", "Sending is suspended")
        if not account.sending_enabled or (configuration_set is not None and not configuration_set.sending_enabled):
            raise ProviderError("SendingPausedException", "Email sending is paused")
        if not 1 <= count <= MAX_RECIPIENTS:
            raise bad(f"A message needs 1 to {MAX_RECIPIENTS} recipients, this one has {count}")
        unverified = [] if account.verified(bare(mail.source)) else [mail.source]
        if self.core.behaviour.sandbox:
            unverified += [
                r for r in mail.recipients if not (r.endswith("@" + SIMULATOR_DOMAIN) or account.verified(r))
            ]
        if unverified:
            listed = ", ".join(unverified)
            text = f"Email address is not verified. The following identities failed the check in region {account.region.upper()}: {listed}"
            raise ProviderError("MessageRejected", text)
        now = self.core.clock.now()
        if account.sent_last_24_hours(now) + count > account.max_24_hours:
            raise ProviderError("LimitExceededException", "Daily message quota exceeded.")
        for _ in range(count):
            if not self.core.buckets.take("ses:rate", account.max_rate, max(1.0, account.max_rate)):
                raise ProviderError("TooManyRequestsException", "Maximum sending rate exceeded.")

    def _check_list(self, options: dict[str, Any], mail: Mail) -> None:
        name = options["ContactListName"]
        if name not in self.account.lists:
            raise ProviderError("NotFoundException", f"List with name {name} doesn't exist.")
        if len(mail.recipients) != 1:
            raise bad("List management needs exactly one recipient")
        contact = self.account.contacts.get((name, mail.recipients[0]), {})
        topics = {t["TopicName"]: t["SubscriptionStatus"] for t in contact.get("TopicPreferences", ())}
        if contact.get("UnsubscribeAll") or topics.get(options.get("TopicName", "")) == "OPT_OUT":
            # The answer of SES is not documented; the message is not sent.
            raise ProviderError("MessageRejected", "The contact has unsubscribed")

    def _accept(
        self, mail: Mail, configuration_set: ConfigurationSet | None, tags: dict[str, str], operation: str,
        payload: dict[str, Any], options: dict[str, Any] | None,
    ) -> str:  # fmt: skip
        now, message_id = self.core.clock.now(), our_id(tags)
        dice = self.core.dice(SERVICE, message_id, mail.recipients[0])
        self.account.count(now, len(mail.recipients))
        sent = events.Sent(
            id=f"0100{dice.hex(12)}-{dice.uuid()}-000000", feedback_id=f"0100{dice.hex(12)}-{dice.uuid()}-000000",
            mail=mail, operation=operation, requested_at=now,
            configuration_set=configuration_set.name if configuration_set else "", tags=tags, region=self.account.region,
            contact_list=(options or {}).get("ContactListName"), topic=(options or {}).get("TopicName"),
        )  # fmt: skip
        self.core.ledger.record(
            at=now, service=SERVICE, operation=operation, message_id=message_id, provider_id=sent.id,
            to=mail.recipients[0], sender=bare(mail.source), kind="email", payload=payload,
        )  # fmt: skip
        self.future.plan(sent, configuration_set, dice)
        return sent.id


def tags_of(tags: list[dict[str, str]] | None) -> dict[str, str]:
    return {tag["Name"]: tag["Value"] for tag in tags or ()}


def checked_tags(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """Names and values are ASCII letters, digits, `_`, `-` and at most 256 long."""
    found = tags_of(tags)
    for name, value in found.items():
        if not compose.TAG.fullmatch(name) or not compose.TAG.fullmatch(value):
            raise bad(f"Email tag {name!r} has a name or value that is not allowed")
    return found


def our_id(tags: dict[str, str]) -> str | None:
    return next((tags[name] for name in OUR_ID_TAGS if name in tags), None)


def jsonable(value: Any) -> Any:
    """The request with its blobs in base64, as on the wire."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {k: jsonable(v) for k, v in value.items()}
    return [jsonable(v) for v in value] if isinstance(value, list) else value
