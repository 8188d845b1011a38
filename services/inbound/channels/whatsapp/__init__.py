"""WhatsApp: through AWS End User Messaging Social, and through Meta's own webhook for numbers that are connected
there."""

from libs.common.declare.service import Feed, Secret
from services.inbound.channels.whatsapp import http
from services.inbound.channels.whatsapp.translate import parse
from services.inbound.contract import Translator

translator = Translator(
    feeds=[Feed("whatsapp", parse, principals=("social-messaging.amazonaws.com",))],
    serves=http.router,
    needs=[Secret(http.META_APP_SECRET), Secret(http.META_VERIFY_TOKEN)],
    webhooks={"meta": http.from_meta},
)
