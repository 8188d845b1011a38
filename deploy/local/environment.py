"""The environment for a child process, a test or boto3: botocore's variables and a few of ours."""

import os
from collections.abc import Mapping
from typing import Any

from deploy.local.ports import LOOPBACK

REGION = "us-east-1"
NO_PROXY = "localhost,127.0.0.1"
#: Services of the carrier simulator, by the suffix of botocore's AWS_ENDPOINT_URL_<SERVICE>.
_CARRIER = ("SOCIALMESSAGING", "PINPOINT_SMS_VOICE_V2", "SESV2")
#: Services that LocalStack's free edition lacks; the embedded emulator beside it provides them.
_BESIDE_LOCALSTACK = ("COGNITO_IDENTITY_PROVIDER", "APPSYNC")
_SUFFIX_OF_CLIENT = {
    "socialmessaging": "SOCIALMESSAGING",
    "pinpoint-sms-voice-v2": "PINPOINT_SMS_VOICE_V2",
    "sesv2": "SESV2",
    "cognito-idp": "COGNITO_IDENTITY_PROVIDER",
    "appsync": "APPSYNC",
}


def url(port: int) -> str:
    """`http://127.0.0.1:<port>`; by number, so that botocore addresses buckets by path."""
    return f"http://{LOOPBACK}:{port}"


def of_stack(aws: str, ports: Mapping[str, int]) -> dict[str, str]:
    """The variables that make every AWS SDK use the stack only."""
    return of_places(url(ports["aws"]), url(ports["simulator"]), url(ports["cognito"]) if aws != "embedded" else None)


def of_places(aws_url: str, simulator_url: str, cognito_url: str | None) -> dict[str, str]:
    """The same, from addresses; `cognito_url` where LocalStack is used, whose free edition lacks Cognito."""
    env = {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        # A profile on this machine may name an endpoint or real credentials; it must not be read.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": NO_PROXY,
        "no_proxy": NO_PROXY,
        "WECARE_STAGE": "local",
        "WECARE_SEND_MODE": "LIVE",  # the carrier is the simulator
        "WECARE_WHATSAPP_DAILY_RECIPIENTS": "100000",  # and this is its portfolio's limit
        "WECARE_POLL_SECONDS": "2",  # stop quickly; an empty receive costs nothing here
        "PYTHONUNBUFFERED": "1",
    }
    env |= {f"AWS_ENDPOINT_URL_{service}": simulator_url for service in _CARRIER}
    if cognito_url:
        env |= {f"AWS_ENDPOINT_URL_{service}": cognito_url for service in _BESIDE_LOCALSTACK}
    return env


def endpoint(env: Mapping[str, str], service: str) -> str:
    """The endpoint of a service in `env`, by the name of its boto3 client."""
    return env.get(f"AWS_ENDPOINT_URL_{_SUFFIX_OF_CLIENT.get(service)}", env["AWS_ENDPOINT_URL"])


def client(env: Mapping[str, str], service: str) -> Any:
    """A boto3 client for the stack that `env` describes, independent of this process's environment."""
    import boto3  # not needed to start and stop processes, and slow to import
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=endpoint(env, service),
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        config=Config(proxies={}, retries={"total_max_attempts": 3, "mode": "standard"}, connect_timeout=5),
    )
