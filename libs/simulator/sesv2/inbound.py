"""Received email: a receipt rule with an SNS or S3 action (facts 6.7)."""

from __future__ import annotations

import base64
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from libs.simulator.aws import session
from libs.simulator.clock import iso_millis
from libs.simulator.core import Core
from libs.simulator.errors import ControlError
from libs.simulator.request_body import RequestBody
from libs.simulator.sesv2.account import Account
from libs.simulator.sesv2.compose import bare

SNS_MAX = 150 * 1024
"""Messages beyond it cannot go through the SNS action."""
VERDICTS = ("PASS", "FAIL", "GRAY", "PROCESSING_FAILED")
KINDS_OF_VERDICT = ("spam", "virus", "spf", "dkim", "dmarc")


class Inbound:
    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account
        self.stack = AsyncExitStack()
        self.s3: Any = None

    def receipt(self, intent: RequestBody) -> dict[str, Any]:
        """Set the receipt rule: `topic`, `action` SNS (default) or S3 with `bucket` and `prefix`, `encoding`."""
        rule = {
            "topic": intent.text("topic", required=True),
            "action": intent.choice("action", ("SNS", "S3"), "SNS"),
            "bucket": intent.text("bucket"),
            "prefix": intent.text("prefix") or "",
            "encoding": intent.choice("encoding", ("BASE64", "UTF8"), "BASE64"),
        }
        intent.done()
        if rule["action"] == "S3" and not rule["bucket"]:
            raise ControlError("bucket", "is required for the S3 action")
        self.account.receipt = rule
        return rule

    async def email(self, intent: RequestBody) -> dict[str, Any]:
        """An email comes in: `raw` (base64 of a MIME message) or from, to, subject, text and so on."""
        rule = self.account.receipt
        if not rule:
            raise ControlError("receipt", "set a receipt rule first: PUT /control/receipt", 409)
        recipients = (
            intent.texts("to") if isinstance(intent.get("to"), list) else [intent.text("to", required=True) or ""]
        )
        message_id = self.core.noise.hex(40)
        raw, message = self._compose(intent, recipients, message_id)
        verdicts = {k: intent.choice(f"{k}_verdict", VERDICTS, "PASS") for k in KINDS_OF_VERDICT}
        times = intent.count("times", 1, 1000)
        intent.done()
        event = self._event(message, recipients, verdicts, message_id)
        if rule["action"] == "S3":
            key = rule["prefix"] + message_id
            await self._store(rule["bucket"], key, raw)
            event["receipt"]["action"] = {
                "type": "S3", "topicArn": rule["topic"], "bucketName": rule["bucket"],
                "objectKeyPrefix": rule["prefix"], "objectKey": key,
            }  # fmt: skip
        else:
            if len(raw) > SNS_MAX:
                raise ControlError("text", f"{len(raw)} bytes are too many for the SNS action (150 KB); SES bounces it")
            event["receipt"]["action"] = {"type": "SNS", "topicArn": rule["topic"], "encoding": rule["encoding"]}
            encoded = rule["encoding"] == "BASE64"
            event["content"] = base64.b64encode(raw).decode() if encoded else raw.decode("utf-8", "replace")
        text = json.dumps(event, separators=(",", ":"))
        for _ in range(times):
            self.core.emitter.now([rule["topic"]], text)
        return {"messageId": message_id, "published": times}

    def _compose(self, intent: RequestBody, recipients: list[str], message_id: str) -> tuple[bytes, EmailMessage]:
        message = EmailMessage()
        message["From"] = intent.text("from", required=True)
        message["To"] = ", ".join(recipients)
        message["Subject"] = intent.text("subject") or ""
        message["Date"] = format_datetime(datetime.fromtimestamp(self.core.clock.now(), UTC))
        message["Message-ID"] = intent.text("message_id") or f"<{message_id[:16]}@example.com>"
        for name, header in (("in_reply_to", "In-Reply-To"), ("references", "References")):
            value = intent.text(name)
            if value:
                message[header] = value
        for name, value in (intent.get("headers") or {}).items():
            message[name] = value
        message.set_content(intent.text("text") or "")
        html = intent.text("html")
        if html:
            message.add_alternative(html, subtype="html")
        for attachment in intent.get("attachments") or ():
            self._attach(message, attachment)
        return message.as_bytes(), message

    @staticmethod
    def _attach(message: EmailMessage, attachment: Any) -> None:
        """`{filename, content_type, data (base64)}`."""
        try:
            main, _, sub = attachment["content_type"].partition("/")
            data = base64.b64decode(attachment["data"], validate=True)
            message.add_attachment(data, maintype=main, subtype=sub, filename=attachment["filename"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ControlError("attachments", "must be objects with filename, content_type and base64 data") from error

    def _event(
        self, message: EmailMessage, recipients: list[str], verdicts: dict[str, str], message_id: str
    ) -> dict[str, Any]:
        now = self.core.clock.now()
        headers = [{"name": name, "value": str(value)} for name, value in message.items()]
        source = bare(str(message["From"]))
        return {
            "notificationType": "Received",
            "receipt": {
                "timestamp": iso_millis(now),
                "processingTimeMillis": 400,
                "recipients": [bare(r) for r in recipients],
                **{f"{kind}Verdict": {"status": status} for kind, status in verdicts.items()},
            },
            "mail": {
                "timestamp": iso_millis(now),
                "source": source,
                "messageId": message_id,
                "destination": [bare(r) for r in recipients],
                "headersTruncated": False,
                "headers": headers,
                "commonHeaders": {
                    "returnPath": source,
                    "from": [str(message["From"])],
                    "date": str(message["Date"]),
                    "to": recipients,
                    "messageId": str(message["Message-ID"]),
                    "subject": str(message["Subject"]),
                },
            },
        }

    async def _store(self, bucket: str, key: str, raw: bytes) -> None:
        endpoint = self.core.settings.s3_endpoint
        if endpoint is None:
            raise ControlError("bucket", "the simulator was started without an S3 endpoint", 409)
        if self.s3 is None:
            config = AioConfig(s3={"addressing_style": "path"}, connect_timeout=5)
            context = session().create_client(
                "s3",
                region_name=self.account.region,
                endpoint_url=None if endpoint == "aws" else endpoint,
                config=config,
            )
            self.s3 = await self.stack.enter_async_context(context)
        try:
            await self.s3.put_object(Bucket=bucket, Key=key, Body=raw, ContentType="message/rfc822")
        except (ClientError, BotoCoreError) as error:
            raise ControlError("bucket", f"S3 did not take the message: {type(error).__name__}", 502) from error

    async def close(self) -> None:
        await self.stack.aclose()
