"""Templates as CloudFormation would see them in one account and region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.cdk import summary
from deploy.cdk.app import build
from deploy.cdk.plan import Plan

PSEUDO = {
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}


def plain(value: Any) -> Any:
    """Joins joined and pseudo parameters filled in; what only a deployment knows is ``<resource>``."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Fn::Join": [separator, parts]}:
            return separator.join(str(plain(part)) for part in parts)
        case {"Ref": name}:
            return PSEUDO.get(name, f"<{name}>")
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Sub": str(text)}:
            for name, meant in PSEUDO.items():
                text = text.replace(f"${{{name}}}", meant)
            return text
        case {"Fn::ImportValue": name}:
            return f"<{name}>"
    return {key: plain(each) for key, each in value.items()}


@dataclass(frozen=True)
class Synthesised:
    """All stacks of a plan together."""

    plan: Plan
    stacks: dict[str, dict[str, Any]] = field(repr=False)

    def of(self, kind: str) -> Iterator[dict[str, Any]]:
        """The properties of every resource of a type."""
        for template in self.stacks.values():
            for resource in template["Resources"].values():
                if resource["Type"] == kind:
                    yield plain(resource.get("Properties", {}))

    def id_of(self, kind: str, **properties: str) -> str:
        """The logical id of the only such resource."""
        (found,) = [
            name
            for template in self.stacks.values()
            for name, each in template["Resources"].items()
            if each["Type"] == kind and properties.items() <= plain(each["Properties"]).items()
        ]
        return found


def synthesised(plan: Plan, folder: Path) -> Synthesised:
    code = folder / "code"
    code.mkdir(parents=True, exist_ok=True)
    (code / "nothing.py").write_text("")
    build(plan, folder / "out", code).synth()
    return Synthesised(plan, summary.templates(folder / "out"))
