"""The stacks of a stage. Each fits well below CloudFormation's 500 resources; names are the topology's, so that stacks
need no references to each other."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import App, Stack

from deploy.cdk import alarms, containers, dashboard, functions, http_api, messaging, storage, user_pool
from deploy.cdk.plan import Plan


def build(plan: Plan, out: Path, code: Path | None = None) -> App:
    """An app that synthesises into `out`. `code`: the directory that functions consist of."""
    # Without CDK metadata, which is no resource.
    app = App(outdir=str(out), analytics_reporting=False)
    owned = _stack(app, plan, "storage", "tables, buckets and secrets")
    storage.render(owned, plan)
    spoken = _stack(app, plan, "messaging", "topics, queues and subscriptions")
    messaging.render(spoken, plan)
    signing_in = _stack(app, plan, "people", "sign-in")
    known = user_pool.render(signing_in, plan)
    hosts = _stack(app, plan, plan.hosts, "the services")
    for before in (owned, spoken, signing_in):
        hosts.add_stack_dependency(before)
    rates = _hosts(hosts, plan, known, code)
    watching = _stack(app, plan, "watch", "alarms and the dashboard")
    watching.add_stack_dependency(hosts)
    alarms.render(watching, plan, rates)
    dashboard.render(watching, plan, rates)
    return app


def _hosts(scope: Stack, plan: Plan, known: user_pool.People, code: Path | None) -> list[alarms.Rate]:
    """Render the hosts of the services; returns the metrics of their errors."""
    if plan.hosts == "ecs":
        return containers.rates(containers.render(scope, plan, known))
    if code is None:
        raise ValueError("functions need their code")
    made = functions.render(scope, plan, known, str(code))
    http_api.render(scope, plan, made)
    return functions.rates(made, plan)


def _stack(app: App, plan: Plan, name: str, what: str) -> Stack:
    return Stack(
        app,
        f"{plan.prefix}-{name}",
        description=f"WECARE {plan.stage}: {what}",
        termination_protection=plan.keep,
        tags={"wecare:stage": plan.stage},
    )
