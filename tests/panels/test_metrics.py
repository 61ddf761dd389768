"""Metrics: what a scrape reads is what the books say, by Mesos's names; read with Prometheus's own parser."""

import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

import mesonb as mb
from mesonb.errors import BadValue
from mesonb.panels import metrics
from tests.panels.test_server import fetch


def read(text, session):
    """Return {(name, other labels' values): value} of one session."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = dict(sample.labels)
            if labels.pop("session") == session.id:
                found[sample.name, *labels.values()] = sample.value
    return found


def test_a_scrape_says_what_the_books_say(panels, cluster):
    cluster.guarantees["ops"] = mb.Resources(cpus=2, mem="3GB")
    cluster.run("1s")
    answer = fetch(panels, "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    said, picture = read(answer.body, cluster), cluster.snapshot()
    assert said["mesos_master_slaves_active",] == 3
    assert said["mesos_master_cpus_total",] == 12
    assert said["mesos_master_cpus_used",] == pytest.approx(picture.total.cpus - picture.free.cpus)
    assert said["mesos_master_mem_total",] == pytest.approx(picture.total.mem / 1e6)
    assert said["mesos_master_tasks_running",] == picture.task_count == 6
    assert said["mesos_allocator_mesos_quota_roles_resources_guarantee", "mem", "ops"] == 3000
    for row in picture.frameworks:
        sent = said["mesos_master_frameworks_offers_sent_total", row.framework, row.role]
        assert sent == row.counts["offers_made"]
    shares = [said["mesos_allocator_mesos_roles_shares_dominant", role.role] for role in picture.roles]
    assert shares == pytest.approx([role.share for role in picture.roles])


def test_counts_never_shrink_when_a_framework_leaves(cluster):
    cluster.run("1min")
    before = read(metrics.exposition(), cluster)
    assert before["mesos_master_tasks_finished_total",] == 6
    cluster.unregister(cluster.framework("etl"))
    cluster.run("1s")
    after = read(metrics.exposition(), cluster)
    assert after["mesos_master_tasks_finished_total",] == 6
    assert after["mesonb_master_offers_sent_total",] >= before["mesonb_master_offers_sent_total",]
    assert ("mesonb_framework_dominant_share", "etl", "ops") not in after


def test_agents_that_do_not_answer_and_filters_are_counted():
    sim = mb.Simulation(agents=2)
    sim.register(mb.Queue(), name="idle")
    sim.run("1s")
    sim.core.step(mb.core.calls.AgentUnreachable("agent-1"), sim.now_us())
    said = read(metrics.exposition(), sim)
    assert (said["mesos_master_slaves_active",], said["mesos_master_slaves_inactive",]) == (1, 1)
    assert said["mesos_master_frameworks_roles_suppressed", "idle", "*"] == 1


def test_without_the_token_nothing_is_said(panels):
    assert fetch(panels, "/metrics", token="guessed").code == 403


def test_a_port_of_its_own(cluster):
    port = mb.serve_metrics()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert read(answer.read(), cluster)["mesos_master_slaves_active",] == 3
    with pytest.raises(BadValue, match=f"metrics cannot be served on 127.0.0.1:{port}"):
        mb.serve_metrics(port)
    with pytest.raises(BadValue, match="70000 is no port"):
        mb.serve_metrics(70_000)
