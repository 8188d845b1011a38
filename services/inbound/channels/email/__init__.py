"""E-mail by Amazon SES: reports on what we sent, and mail to us."""

from libs.common.declare.service import Bucket, Feed, on
from libs.messaging.events.inbound import EmailStored
from services.inbound.channels.email import handlers
from services.inbound.channels.email.translate import parse
from services.inbound.contract import Translator

translator = Translator(
    feeds=[Feed("email", parse, principals=("ses.amazonaws.com",))],
    hears=[on(EmailStored, handlers.read_mail)],
    needs=[Bucket(handlers.MAIL, days=30)],
)
