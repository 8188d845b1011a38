"""E-mail through Amazon SES: reports on sent mail, and received mail."""

from libs.common.declare.service import Bucket, Feed, on
from libs.messaging.events.inbound import EmailStored
from services.inbound.channels.email import handlers
from services.inbound.channels.email.translate import parse
from services.inbound.contract import Translator
from services.inbound.parsing.mail.reader import MAX_INLINE_BYTES

translator = Translator(
    feeds=[Feed("email", parse, principals=("ses.amazonaws.com",), max_inline_characters=MAX_INLINE_BYTES)],
    hears=[on(EmailStored, handlers.read_mail)],
    needs=[Bucket(handlers.MAIL, days=30)],
)
