"""The stacks of a plan in the embedded AWS's CloudFormation, as `cdk deploy` brings them there: assets first, then one by one."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

from deploy.local.stack import Stack

#: What `cdk bootstrap` leaves: the release that templates ask for, and the bucket of assets.
BOOTSTRAP = ("/cdk-bootstrap/hnb659fds/version", "21")
TEMPLATES = "templates"


def deploy(stack: Stack, out: Path, names: list[str]) -> dict[str, str]:
    """Stack -> why it failed; empty when all are there."""
    name, version = BOOTSTRAP
    stack.client("ssm").put_parameter(Name=name, Value=version, Type="String", Overwrite=True)
    s3 = stack.client("s3")
    s3.create_bucket(Bucket=TEMPLATES)
    failed = {}
    for each in names:
        upload_assets(stack, out, each)
        s3.put_object(Bucket=TEMPLATES, Key=each, Body=without_schedules(out / f"{each}.template.json"))
        stack.client("cloudformation").create_stack(
            StackName=each, TemplateURL=f"{stack.aws_url}/{TEMPLATES}/{each}", Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        if why := _wait(stack, each):
            failed[each] = why
    return failed


def without_schedules(template: Path) -> str:
    """They are made, but do not run: a dozen processes that start each minute are more than a small machine has room for."""
    reported: dict[str, Any] = json.loads(template.read_text())
    for resource in reported["Resources"].values():
        if resource["Type"] == "AWS::Scheduler::Schedule":
            resource["Properties"]["State"] = "DISABLED"
    return json.dumps(reported)


def upload_assets(stack: Stack, out: Path, name: str) -> None:
    account = stack.client("sts").get_caller_identity()["Account"]
    manifest: dict[str, Any] = json.loads((out / f"{name}.assets.json").read_text())
    for asset in manifest["files"].values():
        if asset["source"]["packaging"] != "zip":
            continue  # the template itself
        for place in asset["destinations"].values():
            bucket = place["bucketName"].replace("${AWS::AccountId}", account).replace("${AWS::Region}", "us-east-1")
            stack.client("s3").create_bucket(Bucket=bucket)
            body = zipped(out / asset["source"]["path"])
            stack.client("s3").put_object(Bucket=bucket, Key=place["objectKey"], Body=body)


def zipped(folder: Path) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return held.getvalue()


def _wait(stack: Stack, name: str) -> str:
    formation = stack.client("cloudformation")
    for _ in range(240):
        status = formation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        if not status.endswith("IN_PROGRESS"):
            break
        time.sleep(0.25)
    if status == "CREATE_COMPLETE":
        return ""
    events = formation.describe_stack_events(StackName=name)["StackEvents"]
    return "; ".join(str(e.get("ResourceStatusReason")) for e in events if "FAILED" in e["ResourceStatus"]) or status
