"""The rows of the channels: each is complete, and nothing in one contradicts the rest of the platform."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from typing import get_args

import pytest
from pydantic import TypeAdapter

from libs.messaging import content
from libs.messaging.channels import Channel
from libs.messaging.file_types import TYPES
from libs.messaging.templates import TemplateState
from libs.messaging.vocabulary import MessageClass
from services.bulk.bodies import Sendable
from services.bulk.planning.estimate import prices
from services.contacts.model import Contact

KINDS = {kind.model_fields["kind"].default: kind for kind in get_args(get_args(Sendable)[0])}
every_channel = pytest.mark.parametrize("channel", list(Channel))


@every_channel
def test_a_row_is_complete(channel: Channel) -> None:
    traits = channel.traits
    assert traits.addresses
    assert traits.messages_per_second > 0
    assert set(traits.policies) == set(MessageClass)
    assert traits.bulk_contents
    assert traits.bulk_contents <= set(KINDS)
    assert traits.text_content in traits.bulk_contents
    assert traits.pause_rules


@every_channel
def test_a_row_fits_the_rest(channel: Channel) -> None:
    traits = channel.traits
    assert traits.price_key is None or "per" in prices()[traits.price_key]
    assert traits.fallback is None or Channel(traits.fallback) is not channel
    assert all(limit.types <= TYPES and limit.maximum > 0 for limit in traits.files)
    assert traits.templates.parts <= set(TemplateState.model_fields)
    assert traits.text_content == "email" or traits.templates.max_body_length <= traits.templates.max_text_length
    assert not traits.templates.at_provider or not traits.templates.parts
    assert not traits.has_portfolios or traits.needs_open_window


@every_channel
def test_its_addresses_have_a_place(channel: Channel) -> None:
    """A shared kind has a member of a contact; of the provider's ids a contact has one for each channel."""
    kinds = channel.traits.addresses
    assert all(kind.name in Contact.model_fields for kind in kinds if kind.shared)
    assert [kind for kind in kinds if not kind.shared] == [kind for kind in kinds if kind is channel.traits.provider_id]


@every_channel
def test_a_promise_ends_in_order(channel: Channel) -> None:
    for policy in channel.traits.policies.values():
        assert timedelta() < policy.window <= policy.deadline
        assert policy.resends in (0, 1)


def test_the_row_is_no_part_of_the_value() -> None:
    """On the wire, in rows and in schemas a channel is its name, as before it had a row."""
    kind = TypeAdapter(Channel)
    assert kind.json_schema() == {
        "enum": ["whatsapp", "sms", "email", "voice", "rcs"], "title": "Channel", "type": "string",
    }  # fmt: skip
    assert kind.dump_json(Channel.SMS) == b'"sms"'
    assert kind.validate_json('"sms"') is Channel.SMS
    assert f"{Channel.SMS}" == "sms"
    assert copy.deepcopy(pickle.loads(pickle.dumps(Channel.SMS))) is Channel.SMS


def test_each_text_content_is_a_content() -> None:
    assert {channel.traits.text_content for channel in Channel} <= set(KINDS)
    assert KINDS["text"] is content.Text
