"""What the ECS stacks run is decided without AWS, so it is held here: every queue, tick and route has one task."""

from __future__ import annotations

from collections import Counter

from deploy.cdk.plan import plan
from deploy.cdk.tasks import rules, tasks_of
from libs.common.declare.discover import Share, consumed

PLAN = plan("ecs", "dev")
TASKS = [task for service in PLAN.services for task in tasks_of(PLAN, service)]


def test_every_queue_has_one_task() -> None:
    topology = PLAN.topology
    wanted = [queue.name for queue in (*topology.queues, *topology.dead_letter_queues)]
    reported = Counter(f"{PLAN.prefix}-{queue}" for task in TASKS for queue in task.queues)
    assert reported == Counter(wanted)


def test_a_task_works_for_the_queues_that_its_command_makes_it_work_for() -> None:
    for task in TASKS:
        words = {"--queues": (), "--but-queues": ()} | {
            flag: task.command[task.command.index(flag) + 1 :]
            for flag in ("--queues", "--but-queues")
            if flag in task.command
        }
        share = Share(words["--queues"], words["--but-queues"])
        worked = [] if task.http else consumed([task.service], PLAN.prefix, share)
        assert [spec.name.removeprefix(f"{PLAN.prefix}-") for spec in worked] == list(task.queues), task.name


def test_what_is_done_every_so_often_is_done_by_one_task() -> None:
    ticking = Counter(task.service.name for task in TASKS if task.ticks)
    assert ticking == Counter(service.name for service in PLAN.services if service.uses_ledger())
    assert not any("--queues" in task.command for task in TASKS if task.ticks)


def test_every_service_with_routes_has_rules_and_a_task_for_them() -> None:
    serving = {service.name for service in PLAN.services if getattr(service.serves, "routes", ())}
    assert {service.name for service, _ in rules(PLAN.services)} == serving
    assert {task.service.name for task in TASKS if task.http} == serving
    assert all(len(patterns) <= 5 for _, patterns in rules(PLAN.services))
