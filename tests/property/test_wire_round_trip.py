"""A graph, a recurrence and a data change come out of JSON as they went in."""

from __future__ import annotations

from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core.model import DataChange
from penstock.core.pipeline import (
    Argument,
    ArgumentKind,
    Graph,
    Input,
    Output,
    Parameter,
    ParameterKind,
    SourceKind,
    Step,
)
from penstock.core.recurrence import (
    WEEK_DAYS,
    FoldPolicy,
    Frequency,
    GapPolicy,
    MonthEndPolicy,
    Recurrence,
)
from penstock.wire import DATA_CHANGE, GRAPH, RECURRENCE, PublishRequest, ScheduleDraft

names = st.text(max_size=8)
perhaps_names = st.none() | names
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def some(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


parameters = st.builds(
    Parameter,
    name=names,
    kind=st.sampled_from(ParameterKind),
    default=st.booleans()
    | st.integers()
    | numbers
    | names
    | st.fixed_dictionaries({"datastore": names, "path": perhaps_names}),
)
inputs = st.builds(
    Input,
    name=names,
    source=st.sampled_from(SourceKind),
    step_id=perhaps_names,
    output=perhaps_names,
    datastore=perhaps_names,
    path=perhaps_names,
    parameter=perhaps_names,
    mode=names,
    path_on_compute=perhaps_names,
    overwrite=st.booleans(),
)
outputs = st.builds(
    Output,
    name=names,
    datastore=perhaps_names,
    path=perhaps_names,
    mode=names,
    is_directory=st.none() | st.booleans(),
    overwrite=st.none() | st.booleans(),
    path_on_compute=perhaps_names,
    pipeline_output_name=perhaps_names,
)
steps = st.builds(
    Step,
    id=names,
    name=names,
    kind=names,
    script=perhaps_names,
    snapshot_id=perhaps_names,
    arguments=some(st.builds(Argument, kind=st.sampled_from(ArgumentKind), value=names)),
    inputs=some(inputs),
    outputs=some(outputs),
    run_after=some(names),
    compute=names,
    environment=st.none() | st.dictionaries(names, json_values, max_size=3),
    environment_variables=st.dictionaries(names, names, max_size=3),
    allow_reuse=st.booleans(),
    version=perhaps_names,
    retries=st.integers(),
    retry_delay_seconds=numbers,
    timeout_seconds=st.none() | numbers,
)
graphs = st.builds(Graph, steps=some(steps), parameters=some(parameters))

FIRST, LAST = datetime.fromisoformat("1970-01-01"), datetime.fromisoformat("2999-12-31")
wall_times = st.datetimes(FIRST, LAST).map(lambda t: t.replace(microsecond=0))
recurrences = st.builds(
    Recurrence,
    frequency=st.sampled_from(Frequency),
    interval=st.integers(),
    start_time=st.none() | wall_times,
    time_zone=perhaps_names,
    hours=some(st.integers()),
    minutes=some(st.integers()),
    week_days=some(st.sampled_from(WEEK_DAYS)),
    gap=st.sampled_from(GapPolicy),
    fold=st.sampled_from(FoldPolicy),
    month_end=st.sampled_from(MonthEndPolicy),
    anchor=st.none() | wall_times,
)
data_changes = st.builds(
    DataChange,
    datastore=names,
    path=perhaps_names,
    polling_minutes=st.integers(),
    data_path_parameter=perhaps_names,
)


@unhurried
@given(graphs)
def test_a_graph(graph):
    assert GRAPH.validate_json(GRAPH.dump_json(graph)) == graph


@unhurried
@given(recurrences)
def test_a_recurrence(recurrence):
    assert RECURRENCE.validate_json(RECURRENCE.dump_json(recurrence)) == recurrence


@unhurried
@given(data_changes)
def test_a_data_change(change):
    assert DATA_CHANGE.validate_json(DATA_CHANGE.dump_json(change)) == change


@unhurried
@given(recurrences, data_changes)
def test_inside_a_request(recurrence, change):
    draft = ScheduleDraft(name="n", experiment="e", recurrence=recurrence, data_change=change)
    assert ScheduleDraft.model_validate_json(draft.model_dump_json()) == draft


@unhurried
@given(graphs)
def test_a_graph_inside_a_request(graph):
    request = PublishRequest(graph=graph)
    assert PublishRequest.model_validate_json(request.model_dump_json()) == request
