"""Texts of the automatic replies to STOP, START and HELP, in the contact's language. Each names the business and how to
opt in or out (CTIA, "Messaging Principles and Best Practices"; 47 CFR 64.1200(a)(12) for the one confirmation of an
opt-out)."""

from __future__ import annotations

from enum import StrEnum

from libs.messaging.channels import Channel
from libs.messaging.settings import MessagingSettings


class Answer(StrEnum):
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    HELP = "help"


#: By language, English first; ``{us}`` is the name of the business with a colon, ``{contact}`` the help contact.
TEXTS: dict[str, dict[Answer, str]] = {
    "en": {
        Answer.OPTED_OUT: "{us}You are unsubscribed and will receive no more messages here. Reply START to subscribe again.",
        Answer.OPTED_IN: "{us}You are subscribed again. Reply HELP for help, STOP to unsubscribe.",
        Answer.HELP: "{us}{contact}Reply STOP to unsubscribe.",
    },
    "de": {
        Answer.OPTED_OUT: "{us}Sie sind abgemeldet und erhalten hier keine Nachrichten mehr. Mit START melden Sie sich wieder an.",
        Answer.OPTED_IN: "{us}Sie sind wieder angemeldet. Hilfe mit HELP, abmelden mit STOP.",
        Answer.HELP: "{us}{contact}Mit STOP melden Sie sich ab.",
    },
    "es": {
        Answer.OPTED_OUT: "{us}Se ha dado de baja y no recibirá más mensajes aquí. Responda START para volver.",
        Answer.OPTED_IN: "{us}Se ha dado de alta de nuevo. Responda HELP para ayuda, STOP para darse de baja.",
        Answer.HELP: "{us}{contact}Responda STOP para darse de baja.",
    },
    "fr": {
        Answer.OPTED_OUT: "{us}Vous êtes désabonné et ne recevrez plus de messages ici. Répondez START pour revenir.",
        Answer.OPTED_IN: "{us}Vous êtes de nouveau abonné. Répondez HELP pour l'aide, STOP pour vous désabonner.",
        Answer.HELP: "{us}{contact}Répondez STOP pour vous désabonner.",
    },
    "it": {
        Answer.OPTED_OUT: "{us}Iscrizione annullata: non riceverà altri messaggi qui. Risponda START per tornare.",
        Answer.OPTED_IN: "{us}È di nuovo iscritto. Risponda HELP per aiuto, STOP per annullare.",
        Answer.HELP: "{us}{contact}Risponda STOP per annullare l'iscrizione.",
    },
    "pt": {
        Answer.OPTED_OUT: "{us}A sua inscrição foi cancelada e não receberá mais mensagens aqui. Responda START para voltar.",
        Answer.OPTED_IN: "{us}Está inscrito de novo. Responda HELP para ajuda, STOP para cancelar.",
        Answer.HELP: "{us}{contact}Responda STOP para cancelar.",
    },
}


def answers_on(channel: Channel, settings: MessagingSettings) -> bool:
    """Whether the platform sends the replies on the channel, instead of the provider."""
    return channel in [part.strip() for part in settings.answers_on.split(",")]


def answer_text(answer: Answer, locale: str | None, settings: MessagingSettings) -> str:
    language = (locale or "en").replace("_", "-").partition("-")[0].lower()
    text = TEXTS.get(language, TEXTS["en"])[answer]
    us = f"{settings.business_name}: " if settings.business_name else ""
    contact = f"{settings.help_contact} " if settings.help_contact else ""
    return text.replace("{us}", us).replace("{contact}", contact)
