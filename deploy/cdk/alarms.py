"""The alarms. They publish to one SNS topic, to which people subscribe by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from aws_cdk import CfnOutput
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from deploy.cdk.plan import Plan
from deploy.local.processes import BULK
from libs.common.observe.metrics import NAMESPACE
from services.dlq_replay.alarms import METRIC as DEAD_LETTERS
from services.dlq_replay.model import QUIET_THRESHOLD
from services.inbound.unknown_members import METRIC as UNKNOWN_WORDS
from services.insights.alarms import METRIC as FAILURES
from services.outbound.sending.uncertain_metric import METRIC as UNCERTAIN

#: Seconds that a message may wait before an alarm; messages of a job may wait longer.
MAX_AGE_SECONDS, MAX_BULK_AGE_SECONDS = 300, 3600
ERROR_PERCENT = 1
#: Name of an alarm -> (metric that our processes count, seconds of one period). Any count raises the alarm.
COUNTED = {
    "dead-letters": (DEAD_LETTERS, 180),
    "unsure": (UNCERTAIN, 300),
    "failures": (FAILURES, 300),
    "unknown-words": (UNKNOWN_WORDS, 3600),
}


@dataclass(frozen=True)
class Rate:
    """Errors over calls of something, in metrics of AWS."""

    name: str
    namespace: str
    errors: str
    calls: str
    dimensions: dict[str, Any] = field(default_factory=dict)


def render(scope: Construct, plan: Plan, rates: list[Rate]) -> None:
    topic = sns.CfnTopic(scope, "alarms", topic_name=f"{plan.prefix}-alarms")
    CfnOutput(scope, "AlarmsTopic", value=topic.ref)
    for name, settings in _alarms(plan, rates):
        cloudwatch.CfnAlarm(
            scope,
            f"alarm-{name}",
            alarm_name=f"{plan.prefix}-{name}",
            treat_missing_data="notBreaching",
            comparison_operator="GreaterThanThreshold",
            alarm_actions=[topic.ref],
            ok_actions=[topic.ref],
            **settings,
        )


def _alarms(plan: Plan, rates: list[Rate]) -> Iterator[tuple[str, dict[str, Any]]]:
    for queue in plan.topology.queues:
        bare = queue.name.removeprefix(f"{plan.prefix}-")
        yield (
            f"letters-{bare}",
            {
                # `dlq-replay` empties it: messages in it mean that it does not store them.
                "alarm_description": f"more than {QUIET_THRESHOLD} messages lie on {queue.dlq}: dlq-replay is down or cannot store",
                **_queue_metric("ApproximateNumberOfMessagesVisible", queue.dlq),
                "threshold": QUIET_THRESHOLD,
                "evaluation_periods": 2,
            },
        )
        oldest = MAX_BULK_AGE_SECONDS if any(fnmatchcase(bare, pattern) for pattern in BULK) else MAX_AGE_SECONDS
        yield (
            f"oldest-{bare}",
            {
                "alarm_description": f"a message has waited on {queue.name} for more than {oldest} s",
                **_queue_metric("ApproximateAgeOfOldestMessage", queue.name),
                "threshold": oldest,
                "evaluation_periods": 3,
            },
        )
    for name, (metric, seconds) in COUNTED.items():
        yield (
            name,
            {
                "alarm_description": f"{metric} was counted; docs/OPERATIONS.md says what to do",
                "namespace": NAMESPACE,
                "metric_name": metric,
                "statistic": "Sum",
                "period": seconds,
                "threshold": 0,
                "evaluation_periods": 1,
            },
        )
    for rate in rates:
        yield (
            f"errors-{rate.name}",
            {
                "alarm_description": f"more than {ERROR_PERCENT} % of the calls of {rate.name} fail",
                "metrics": percent(rate),
                "threshold": ERROR_PERCENT,
                "evaluation_periods": 2,
            },
        )


def _queue_metric(metric: str, queue: str) -> dict[str, Any]:
    return {
        "namespace": "AWS/SQS",
        "metric_name": metric,
        "dimensions": [cloudwatch.CfnAlarm.DimensionProperty(name="QueueName", value=queue)],
        "statistic": "Maximum",
        "period": 300,
    }


def percent(rate: Rate) -> list[Any]:
    """The metrics of an alarm on a share; without calls there is no alarm."""
    dimensions = [cloudwatch.CfnAlarm.DimensionProperty(name=k, value=v) for k, v in rate.dimensions.items()]

    def of(id: str, metric: str) -> Any:
        stat = cloudwatch.CfnAlarm.MetricStatProperty(
            metric=cloudwatch.CfnAlarm.MetricProperty(
                namespace=rate.namespace, metric_name=metric, dimensions=dimensions
            ),
            period=300,
            stat="Sum",
        )
        return cloudwatch.CfnAlarm.MetricDataQueryProperty(id=id, metric_stat=stat, return_data=False)

    share = cloudwatch.CfnAlarm.MetricDataQueryProperty(
        id="percent", expression="IF(calls > 0, 100 * FILL(errors, 0) / calls, 0)", label="errors (%)", return_data=True
    )
    return [of("errors", rate.errors), of("calls", rate.calls), share]
