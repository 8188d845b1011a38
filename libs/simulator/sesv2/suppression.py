"""The suppression list and the account itself."""

from __future__ import annotations

from typing import Any

from libs.simulator.core import Core
from libs.simulator.sesv2.account import Account
from libs.simulator.sesv2.resources import missing, page


class Suppression:
    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account

    async def put_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        self.account.suppress(params["EmailAddress"], params["Reason"], self.core.clock.now())
        return {}

    async def get_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"SuppressedDestination": self._suppressed(params)}

    async def delete_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        self._suppressed(params)
        del self.account.suppressed[params["EmailAddress"]]
        return {}

    def _suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.account.suppressed.get(params["EmailAddress"])
        if found is None:
            raise missing("Email address", params["EmailAddress"] + " on your suppression list")
        return found

    async def list_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        reasons = params.get("Reasons") or ["BOUNCE", "COMPLAINT"]
        listed = [
            {k: r[k] for k in ("EmailAddress", "Reason", "LastUpdateTime")}
            for r in self.account.suppressed.values()
            if r["Reason"] in reasons
        ]
        return page("SuppressedDestinationSummaries", listed, params)

    async def get_account(self, params: dict[str, Any]) -> dict[str, Any]:
        account = self.account
        return {
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": "SHUTDOWN" if account.suspended else "HEALTHY",
            "ProductionAccessEnabled": not self.core.behaviour.sandbox,
            "SendQuota": {
                "Max24HourSend": account.max_24_hours,
                "MaxSendRate": account.max_rate,
                "SentLast24Hours": float(account.sent_last_24_hours(self.core.clock.now())),
            },
            "SendingEnabled": account.sending_enabled,
            "SuppressionAttributes": {"SuppressedReasons": account.suppressed_reasons},
        }

    async def put_sending(self, params: dict[str, Any]) -> dict[str, Any]:
        self.account.sending_enabled = params.get("SendingEnabled", False)
        return {}

    async def put_suppression(self, params: dict[str, Any]) -> dict[str, Any]:
        self.account.suppressed_reasons = params.get("SuppressedReasons", [])
        return {}
