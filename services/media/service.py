"""The declaration of ``media``."""

from __future__ import annotations

from libs.common.declare.service import Bucket, Grant, Service, on
from libs.messaging.events.inbound import MessageReceived
from libs.messaging.events.media import MediaDeleted, MediaRejected, MediaStored
from libs.messaging.events.messages import MessageDeleted
from libs.messaging.providers.graph import needs_token
from services.media import handlers, http
from services.media.model import BUCKET, RETENTION, MediaFile
from services.media.sources import MAIL

service = Service(
    "media",
    owns=[MediaFile],
    hears=[
        on(MessageReceived, handlers.fetch_files),
        on(MediaStored, handlers.tidy),
        on(MediaRejected, handlers.tidy),
        on(MessageDeleted, handlers.forget_message),
    ],
    says=[MediaStored, MediaRejected, MediaDeleted],
    serves=http.router,
    needs=[
        Bucket(BUCKET, days=RETENTION.days),
        Bucket(MAIL, owner="inbound"),
        Grant(("social-messaging:GetWhatsAppMessageMedia",)),
        needs_token("media"),
    ],
)
