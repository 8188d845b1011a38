"""Both hosts: every queue, every schedule and every route of every service has somebody who works for it, once."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from deploy.cdk import summary
from deploy.cdk.functions import minutes
from libs.common.declare.service import Service
from tests.cdk.templates import Synthesised


def queues(made: Synthesised) -> set[str]:
    topology = made.plan.topology
    return {spec.name for spec in topology.queues} | {spec.name for spec in topology.dead_letter_queues}


def routed(service: Service) -> list[tuple[str, str]]:
    return [(route.method, route.path) for route in getattr(service.serves, "routes", ())]


def functions(made: Synthesised) -> dict[str, dict[str, Any]]:
    return {
        made.id_of("AWS::Lambda::Function", FunctionName=f["FunctionName"]): f for f in made.of("AWS::Lambda::Function")
    }


def test_every_queue_has_one_function_of_its_service_which_names_what_failed(on_lambda: Synthesised) -> None:
    made, known = on_lambda, functions(on_lambda)
    topology = made.plan.topology
    whose = {spec.name: spec.service for spec in (*topology.queues, *topology.dead_letter_queues)}
    found = list(made.of("AWS::Lambda::EventSourceMapping"))
    assert Counter(each["EventSourceArn"].rsplit(":", 1)[1] for each in found) == Counter(queues(made))
    for each in found:
        assert each["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        function = known[each["FunctionName"].strip("<>")]
        queue = each["EventSourceArn"].rsplit(":", 1)[1]
        assert function["Environment"]["Variables"]["WECARE_SERVICES"] == whose[queue]
        assert function["Handler"] == "libs.common.hosts.lambda_.handler"


def test_no_message_comes_back_while_a_function_may_still_have_it(on_lambda: Synthesised) -> None:
    shortest = min(spec.visibility for spec in on_lambda.plan.topology.queues)
    for function in on_lambda.of("AWS::Lambda::Function"):
        if function["FunctionName"].endswith("-queues"):
            assert function["Timeout"] <= shortest


def test_every_schedule_calls_its_own_service_with_its_own_name(on_lambda: Synthesised) -> None:
    wanted = {spec.name: spec for spec in on_lambda.plan.topology.schedules}
    found = list(on_lambda.of("AWS::Scheduler::Schedule"))
    assert Counter(each["Name"] for each in found) == Counter(list(wanted))
    known = functions(on_lambda)
    for each in found:
        assert json.loads(each["Target"]["Input"]) == {"tick": each["Name"]}
        function = known[each["Target"]["Arn"].strip("<>").removesuffix(".Arn")]
        spec = wanted[each["Name"]]
        assert function["Environment"]["Variables"]["WECARE_SERVICES"] == spec.service
        assert each["ScheduleExpression"].startswith(f"rate({minutes(spec.seconds)} minute")


def test_the_http_api_has_the_routes_that_services_declare_and_no_other(on_lambda: Synthesised) -> None:
    wanted = [f"{method} {path}" for service in on_lambda.plan.services for method, path in routed(service)]
    assert Counter(route["RouteKey"] for route in on_lambda.of("AWS::ApiGatewayV2::Route")) == Counter(list(wanted))
    for permission in on_lambda.of("AWS::Lambda::Permission"):
        assert permission["SourceArn"].startswith("arn:aws:execute-api:us-east-1:123456789012:<")


def commands(made: Synthesised) -> list[list[str]]:
    return [task["ContainerDefinitions"][0]["Command"] for task in made.of("AWS::ECS::TaskDefinition")]


def test_every_queue_has_one_ecs_service(on_ecs: Synthesised) -> None:
    made = on_ecs
    working: list[str] = []
    for command in commands(made):
        if "--http" not in command:
            service = next(s for s in made.plan.services if s.name == command[1])
            mine = [spec.name.removeprefix(f"{made.plan.prefix}-") for spec in made.plan.queues(service)]
            only = command[command.index("--queues") + 1 :] if "--queues" in command else mine
            but = command[command.index("--but-queues") + 1 :] if "--but-queues" in command else []
            working += [queue for queue in only if queue not in but]
    assert Counter(working) == Counter(name.removeprefix(f"{made.plan.prefix}-") for name in queues(made))
    assert len(list(made.of("AWS::ECS::Service"))) == len(commands(made))


def test_who_ticks_works_for_all_but_some_queues(on_ecs: Synthesised) -> None:
    """A worker for certain queues only leaves what is done every so often to the others (libs/common/hosts/worker_process.py)."""
    ticking = Counter(command[1] for command in commands(on_ecs) if not {"--http", "--queues"} & set(command))
    assert all(ticking[service.name] == 1 for service in on_ecs.plan.services if service.uses_ledger())


def test_every_route_is_led_to_the_tasks_of_its_service(on_ecs: Synthesised) -> None:
    targets = {
        each["ContainerName"]: each["TargetGroupArn"]
        for service in on_ecs.of("AWS::ECS::Service")
        for each in service.get("LoadBalancers", [])
    }
    rules = sorted(on_ecs.of("AWS::ElasticLoadBalancingV2::ListenerRule"), key=lambda rule: rule["Priority"])
    for service in on_ecs.plan.services:
        for _, path in routed(service):
            leads = [
                rule["Actions"][0]["TargetGroupArn"]
                for rule in rules
                for pattern in rule["Conditions"][0]["PathPatternConfig"]["Values"]
                if path == pattern or (pattern.endswith("/*") and path.startswith(pattern[:-1]))
            ]
            assert leads[:1] == [targets[f"{service.name}-api"]], path
            assert len(set(leads)) == 1, path


def test_tasks_are_reached_by_the_load_balancer_alone_and_it_by_tls(on_ecs: Synthesised) -> None:
    (listener,) = on_ecs.of("AWS::ElasticLoadBalancingV2::Listener")
    assert listener["Protocol"] == "HTTPS"
    for service in on_ecs.of("AWS::ECS::Service"):
        assert service["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"
    inner = [g for g in on_ecs.of("AWS::EC2::SecurityGroup") if g["GroupDescription"] == "the tasks"]
    assert [list(rule) for group in inner for rule in group["SecurityGroupIngress"]] == [
        ["FromPort", "IpProtocol", "SourceSecurityGroupId", "ToPort"]
    ]


def test_every_process_is_told_its_stage_and_who_signs_people_in(made: Synthesised) -> None:
    reported = [function["Environment"]["Variables"] for function in made.of("AWS::Lambda::Function")]
    for task in made.of("AWS::ECS::TaskDefinition"):
        reported.append({each["Name"]: each["Value"] for each in task["ContainerDefinitions"][0]["Environment"]})
    for variables in reported:
        assert variables["WECARE_STAGE"] == made.plan.stage
        assert variables["WECARE_COGNITO_ISSUER"].startswith("https://cognito-idp.us-east-1.amazonaws.com/<")
        assert not any("SECRET" in name or "TOKEN" in name for name in variables)


def test_every_queue_has_its_alarms_and_every_host_one_on_its_errors(made: Synthesised) -> None:
    found = {each["AlarmName"].removeprefix(f"{made.plan.prefix}-"): each for each in made.of("AWS::CloudWatch::Alarm")}
    for spec in made.plan.topology.queues:
        bare = spec.name.removeprefix(f"{made.plan.prefix}-")
        letters, oldest = found.pop(f"letters-{bare}"), found.pop(f"oldest-{bare}")
        assert letters["Threshold"] == 10
        assert letters["Dimensions"] == [{"Name": "QueueName", "Value": spec.dlq}]
        assert oldest["Dimensions"] == [{"Name": "QueueName", "Value": spec.name}]
    errors = {name for name in found if name.startswith("errors-")}
    if made.plan.hosts == "lambda":
        assert len(errors) == len(functions(made))
    else:
        assert errors == {f"errors-{service.name}" for service in made.plan.services if routed(service)}
    assert set(found) - errors == {"dead-letters", "unsure", "failures", "unknown-words"}
    (shown,) = made.of("AWS::CloudWatch::Dashboard")
    widgets = json.loads(shown["DashboardBody"])["widgets"]
    senders = {spec.service for spec in made.plan.topology.queues if spec.service.startswith("outbound-")}
    channels = {service.removeprefix("outbound-") for service in senders}
    assert {widget["properties"]["title"].split(":")[0] for widget in widgets} >= senders | channels


def test_the_functions_that_the_guide_names_are_there(on_lambda: Synthesised) -> None:
    table = Path("docs/DEPLOY.md").read_text().split("| known as | is |")[1].split("\n\n")[0]
    named = {f"{on_lambda.plan.prefix}-{name}" for name in re.findall(r"`([a-z-]+)`", table)}
    assert len(named) > 10
    assert named <= {function["FunctionName"] for function in on_lambda.of("AWS::Lambda::Function")}


def test_every_stack_fits(made: Synthesised) -> None:
    for name, template in made.stacks.items():
        # Room for what is added before somebody notices here.
        assert len(template["Resources"]) <= summary.MAX_RESOURCES * 0.8, name
        assert len(json.dumps(template, separators=(",", ":"))) <= 1_000_000 * 0.8, name
