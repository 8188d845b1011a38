"""The stage's CloudWatch dashboard: messages by channel, dead letters, queue depths, failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aws_cdk import Aws, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from deploy.cdk.alarms import COUNTED, Rate
from deploy.cdk.plan import Plan
from libs.common.observe.metrics import NAMESPACE
from libs.messaging.channels import Channel
from services.insights.counts import COUNTED_STATUSES, metric_of

_WIDE, _HIGH = 12, 6
_SENDER = "outbound-"


def render(scope: Construct, plan: Plan, rates: list[Rate]) -> None:
    widgets = [
        {
            "type": "metric",
            "x": place % 2 * _WIDE,
            "y": place // 2 * _HIGH,
            "width": _WIDE,
            "height": _HIGH,
            "properties": {"region": Aws.REGION, "view": "timeSeries", "period": 300, **properties},
        }
        for place, properties in enumerate(_widgets(plan, rates))
    ]
    body = Stack.of(scope).to_json_string({"widgets": widgets})
    cloudwatch.CfnDashboard(scope, "dashboard", dashboard_name=plan.prefix, dashboard_body=body)


def _widgets(plan: Plan, rates: list[Rate]) -> Iterator[dict[str, Any]]:
    queues = plan.topology.queues
    for channel in sorted({q.service for q in queues if q.service.startswith(_SENDER)}):
        done = [_of_queue("NumberOfMessagesDeleted", q.name, plan) for q in queues if q.service == channel and q.lane]
        yield {"title": f"{channel}: messages settled, by lane", "stat": "Sum", "metrics": done}
    for channel in Channel:
        reported = [
            [NAMESPACE, metric_of(word), "channel", channel.value, {"label": word}] for word in COUNTED_STATUSES
        ]
        yield {"title": f"{channel}: messages by what became of them", "stat": "Sum", "metrics": reported}
    letters = [_of_queue("ApproximateNumberOfMessagesVisible", queue.dlq, plan) for queue in queues]
    yield {"title": "On dead-letter queues", "stat": "Maximum", "metrics": letters}
    oldest = [_of_queue("ApproximateAgeOfOldestMessage", queue.name, plan) for queue in queues]
    yield {"title": "Oldest message (s)", "stat": "Maximum", "metrics": oldest}
    yield {
        "title": "Dead letters, unsure sends, failures by channel, unknown words",
        "stat": "Sum",
        "metrics": [[NAMESPACE, metric] for metric, _ in COUNTED.values()],
    }
    yield {
        "title": "Errors (%)",
        "stat": "Sum",
        "metrics": [row for rate in enumerate(rates) for row in _percent(*rate)],
    }


def _of_queue(metric: str, queue: str, plan: Plan) -> list[Any]:
    return ["AWS/SQS", metric, "QueueName", queue, {"label": queue.removeprefix(f"{plan.prefix}-")}]


def _percent(place: int, rate: Rate) -> list[Any]:
    dimensions = [part for pair in rate.dimensions.items() for part in pair]
    errors, calls = f"e{place}", f"c{place}"
    share = f"IF({calls} > 0, 100 * FILL({errors}, 0) / {calls}, 0)"
    return [
        [rate.namespace, rate.errors, *dimensions, {"id": errors, "visible": False}],
        [rate.namespace, rate.calls, *dimensions, {"id": calls, "visible": False}],
        [{"expression": share, "label": rate.name, "id": f"p{place}"}],
    ]
