"""Opt-out lists, keywords, message feedback."""

from __future__ import annotations

from typing import Any

from libs.simulator.core import Core
from libs.simulator.sms_voice.account import Account, Keyword, add_opt_out_list, e164
from libs.simulator.sms_voice.describe import describe
from libs.simulator.sms_voice.errors import conflict, not_found, quota

HELP_TEXT = "Example Store: for help write to support@example.com. Msg & data rates may apply. Reply STOP to cancel."
STOP_TEXT = "You are unsubscribed from Example Store and will receive no more messages."
REPEAT_SECONDS = 30 * 86400.0
"""A number can be removed from a list once in 30 days."""
MAX_KEYWORDS = 30


class OptOuts:
    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account
        self.removed: dict[tuple[str, str], float] = {}

    async def create_list(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["OptOutListName"]
        if name in self.account.opt_out_lists:
            raise conflict("RESOURCE_ALREADY_EXISTS", f"{name} exists already", "opt-out-list", name)
        return add_opt_out_list(self.account, name, self.core.clock.now())

    async def delete_list(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self.account.opt_out_list(params["OptOutListName"])
        name = record["OptOutListName"]
        users = [*self.account.numbers.values(), *self.account.pools.values(), *self.account.agents.values()]
        if name == "Default" or any(user.get("OptOutListName") == name for user in users):
            raise conflict("RESOURCE_DELETION_NOT_ALLOWED", f"{name} is in use", "opt-out-list", name)
        del self.account.opt_out_lists[name], self.account.opted_out[name]
        return record

    async def describe_lists(self, params: dict[str, Any]) -> dict[str, Any]:
        return describe(
            "OptOutLists", self.account.opt_out_lists.values(), params,
            ids=params.get("OptOutListNames"), id_member="OptOutListName", kind="opt-out-list",
        )  # fmt: skip

    async def put_number(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self.account.opt_out_list(params["OptOutListName"])
        added = self.account.opt_out(record["OptOutListName"], params["OptedOutNumber"], self.core.clock.now(), False)
        return _of_list(record) | added

    async def delete_number(self, params: dict[str, Any]) -> dict[str, Any]:
        record, number = self.account.opt_out_list(params["OptOutListName"]), e164(params["OptedOutNumber"])
        name = record["OptOutListName"]
        found = self.account.opt_out_record(name, number)
        if found is None:
            raise not_found("opted-out-number", number)
        now = self.core.clock.now()
        if now - self.removed.get((name, number), -REPEAT_SECONDS) < REPEAT_SECONDS:
            message = "The number was removed within the last 30 days"
            raise conflict("RESOURCE_DELETION_NOT_ALLOWED", message, "opted-out-number", number)
        self.removed[(name, number)] = now
        del self.account.opted_out[name][number]
        return _of_list(record) | found

    async def describe_numbers(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self.account.opt_out_list(params["OptOutListName"])
        numbers = [e164(n) for n in params.get("OptedOutNumbers", ())]
        answer = describe(
            "OptedOutNumbers", self.account.opted_out[record["OptOutListName"]].values(), params,
            ids=numbers, id_member="OptedOutNumber", kind="opted-out-number",
        )  # fmt: skip
        return _of_list(record) | answer

    def keywords_of(self, identity: str) -> dict[str, Keyword]:
        """The keywords of a number, pool or agent; STOP and HELP always exist."""
        if identity not in self.account.keywords:
            required = (Keyword("STOP", STOP_TEXT, "OPT_OUT"), Keyword("HELP", HELP_TEXT, "AUTOMATIC_RESPONSE"))
            self.account.keywords[identity] = {k.word: k for k in required}
        return self.account.keywords[identity]

    def _keywords(self, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Keyword]]:
        kind, record = self.account.resource(params["OriginationIdentity"])
        members = {
            "phone-number": "PhoneNumberId",
            "pool": "PoolId",
            "rcs-agent": "RcsAgentId",
            "sender-id": "SenderId",
        }
        identity = record[members[kind]]
        owner = {"OriginationIdentityArn": self.account.arn(kind, identity), "OriginationIdentity": identity}
        return owner, self.keywords_of(identity)

    async def put_keyword(self, params: dict[str, Any]) -> dict[str, Any]:
        owner, keywords = self._keywords(params)
        word = params["Keyword"].upper()
        if word not in keywords and len(keywords) >= MAX_KEYWORDS:
            raise quota("KEYWORDS_PER_PHONE_NUMBER", "Too many keywords")
        old = keywords.get(word)
        action = params.get("KeywordAction", old.action if old else "AUTOMATIC_RESPONSE")
        keywords[word] = Keyword(word, params["KeywordMessage"], action)
        return owner | _keyword(keywords[word])

    async def delete_keyword(self, params: dict[str, Any]) -> dict[str, Any]:
        owner, keywords = self._keywords(params)
        word = params["Keyword"].upper()
        if word not in keywords:
            raise not_found("keyword", word)
        if word in ("STOP", "HELP"):
            raise conflict("KEYWORD_MISMATCH", f"{word} cannot be deleted", "keyword", word)
        return owner | _keyword(keywords.pop(word))

    async def describe_keywords(self, params: dict[str, Any]) -> dict[str, Any]:
        owner, keywords = self._keywords(params)
        wanted = [k.upper() for k in params.get("Keywords", ())]
        found = [_keyword(k) for k in keywords.values()]
        return owner | describe("Keywords", found, params, ids=wanted, id_member="Keyword", kind="keyword")

    async def put_feedback(self, params: dict[str, Any]) -> dict[str, Any]:
        entry = self.core.ledger.by_provider_id.get(params["MessageId"])
        if entry is None or entry.service != "pinpoint-sms-voice-v2":
            raise not_found("message", params["MessageId"])
        self.account.feedback[params["MessageId"]] = params["MessageFeedbackStatus"]
        return {k: params[k] for k in ("MessageId", "MessageFeedbackStatus")}


def _of_list(record: dict[str, Any]) -> dict[str, Any]:
    return {k: record[k] for k in ("OptOutListArn", "OptOutListName")}


def _keyword(keyword: Keyword) -> dict[str, Any]:
    return {"Keyword": keyword.word, "KeywordMessage": keyword.message, "KeywordAction": keyword.action}
