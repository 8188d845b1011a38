"""The messaging resources: topics, queues with their dead-letter queues, subscriptions with their filters."""

from __future__ import annotations

from aws_cdk import Aws
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from deploy.cdk.access import document, named
from deploy.cdk.plan import Plan
from deploy.cdk.storage import kept, tls_only
from libs.common.declare.topology import QueueSpec, TopicSpec


def render(scope: Construct, plan: Plan) -> None:
    topics = {spec.name: _topic(scope, spec) for spec in plan.topology.topics}
    queues = {}
    for spec in plan.topology.queues:
        queues[spec.name] = _queue(scope, spec, plan)
    sources: dict[str, list[str]] = {}
    for sub in plan.topology.subscriptions:
        sources.setdefault(sub.queue, []).append(named("topic", sub.topic))
        made = sns.CfnSubscription(
            scope,
            f"subscription-{sub.topic}-{sub.queue}",
            topic_arn=topics[sub.topic].ref,
            protocol="sqs",
            endpoint=queues[sub.queue].attr_arn,
            raw_message_delivery=True,
            filter_policy=sub.filter or None,
            filter_policy_scope="MessageAttributes" if sub.filter else None,
        )
        made.add_resource_dependency(queues[sub.queue])
    for name, queue in queues.items():
        _who_may_send(scope, name, queue, sources.get(name, []))


def _topic(scope: Construct, spec: TopicSpec) -> sns.CfnTopic:
    """A feed's topic lets its provider's AWS service publish, for this account and no other."""
    topic = sns.CfnTopic(scope, f"topic-{spec.name}", topic_name=spec.name)
    if spec.principals:
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": list(spec.principals)},
            "Action": "sns:Publish",
            "Resource": topic.ref,
            "Condition": {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
        }
        sns.CfnTopicPolicy(scope, f"policy-{spec.name}", topics=[topic.ref], policy_document=document([allowed]))
    return topic


def _queue(scope: Construct, spec: QueueSpec, plan: Plan) -> sqs.CfnQueue:
    dlq = sqs.CfnQueue(
        scope,
        f"queue-{spec.dlq}",
        queue_name=spec.dlq,
        message_retention_period=spec.retention,
        sqs_managed_sse_enabled=True,
    )
    queue = sqs.CfnQueue(
        scope,
        f"queue-{spec.name}",
        queue_name=spec.name,
        message_retention_period=spec.retention,
        visibility_timeout=spec.visibility,
        redrive_policy={"deadLetterTargetArn": dlq.attr_arn, "maxReceiveCount": spec.max_receives},
        sqs_managed_sse_enabled=True,
    )
    # Messages in queues are data, too.
    kept(dlq, plan)
    kept(queue, plan)
    _who_may_send(scope, spec.dlq, dlq, [])
    return queue


def _who_may_send(scope: Construct, name: str, queue: sqs.CfnQueue, topics: list[str]) -> None:
    rules = [tls_only("sqs:*", [queue.attr_arn])]
    if topics:
        rules.append(
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue.attr_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": sorted(set(topics))}},
            }
        )
    sqs.CfnQueuePolicy(scope, f"policy-{name}", queues=[queue.ref], policy_document=document(rules))
