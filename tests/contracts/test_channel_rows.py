"""What varies by channel stands in the channel's row: nothing else asks which channel it has, or keeps a table by channel."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.common.declare.discover import discover
from libs.messaging.channels import Channel

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for top in ("services", "libs")
    for path in (ROOT / top).rglob("*.py")
    if "simulator" not in path.relative_to(ROOT).parts
)
#: The row itself; what belongs to one provider; the senders and the translators.
MAY_NAME_A_CHANNEL = (
    "libs/messaging/channels.py",
    "libs/messaging/providers/",
    "services/outbound/channels/",
    "services/inbound/channels/",
    "services/templates/provider.py",
    "libs/messaging/settings.py",
)
NAMES = frozenset(channel.value for channel in Channel)
_OF_A_CHANNEL = re.compile(r"(^|[._])channel(\.(name|value))?$")


def _allowed(path: str) -> bool:
    return path.startswith(MAY_NAME_A_CHANNEL)


def _names_of_the_class(tree: ast.AST) -> set[str]:
    """``Channel``, and what a module calls it."""
    imported = (each for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for each in node.names)
    return {"Channel", *(each.asname for each in imported if each.name == "Channel" and each.asname)}


def _literals(node: ast.expr) -> list[str]:
    """The names of channels in a literal, or in a tuple, list, set or dict's keys of them."""
    if isinstance(node, ast.Constant):
        return [node.value] if node.value in NAMES else []
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return [name for each in node.elts for name in _literals(each)]
    if isinstance(node, ast.Dict):
        return [name for key in node.keys if key is not None for name in _literals(key)]
    return []


def _asks(node: ast.AST) -> bool:
    """A comparison of a channel with names, or a table that has two of them as keys."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        return any(_OF_A_CHANNEL.search(ast.unparse(side)) for side in sides) and any(map(_literals, sides))
    if isinstance(node, ast.Match):
        patterns = [each for case in node.cases for each in ast.walk(case.pattern) if isinstance(each, ast.MatchValue)]
        return bool(_OF_A_CHANNEL.search(ast.unparse(node.subject))) and any(_literals(each.value) for each in patterns)
    return isinstance(node, ast.Dict) and len(_literals(node)) > 1


def findings(text: str) -> Iterator[int]:
    """The lines that name a channel's member, compare with a channel's name, or hold a table by channel."""
    tree = ast.parse(text)
    classes = _names_of_the_class(tree)
    for node in ast.walk(tree):
        of_class = isinstance(node, ast.Attribute) and ast.unparse(node.value).rpartition(".")[2] in classes
        if (of_class and isinstance(node, ast.Attribute) and node.attr in Channel.__members__) or _asks(node):
            yield getattr(node, "lineno", 0)


def test_only_a_channel_names_a_channel() -> None:
    found = [
        f"{path}:{line}"
        for path, text in ((str(each.relative_to(ROOT)), each.read_text()) for each in SOURCES)
        if not _allowed(path)
        for line in findings(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "if channel is Channel.SMS: pass",
        "from libs.messaging.channels import Channel as Name\nRATES = {Name.SMS: 1}",
        "import libs.messaging.channels as channels\nx = channels.Channel.VOICE",
        "if event.channel == 'whatsapp': pass",
        "if 'sms' != job.channel.value: pass",
        "if channel.name in ('sms', 'rcs'): pass",
        "RATES = {'sms': 20, 'voice': 1}",
        "match event.channel:\n    case 'email' | 'sms': pass",
    ],
)
def test_it_finds_what_asks_for_a_channel(text: str) -> None:
    assert list(findings(text))


@pytest.mark.parametrize(
    "text",
    [
        "if channel.traits.quiet_hours: pass",
        "if traits.text_content == 'email': pass",
        "for channel in Channel: pass",
        "x = Channel('sms')",
        "known = {'email': user.email, 'status': user.status}",
        "if event.channel is job.channel: pass",
    ],
)
def test_it_lets_traits_be(text: str) -> None:
    assert list(findings(text)) == []


def test_a_sender_counts_portfolios_if_its_row_says_so() -> None:
    senders = {each.name: each for each in discover() if each.name.startswith("outbound-")}
    counting = {
        name for name, each in senders.items() if any(event.TYPE == "outbound.budget-counted.v1" for event in each.says)
    }
    assert set(senders) == {f"outbound-{channel}" for channel in Channel}
    assert counting == {f"outbound-{channel}" for channel in Channel if channel.traits.has_portfolios}
