"""What holds for answers whatever the route: recorded first, bounded, each by its own arm."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from structlog.testing import capture_logs

from builders import bundle_info, write_tiny_bundle
from builders_imaging import zip_bytes
from builders_records import kept_in
from builders_service import (
    Gate,
    files,
    png,
    problem,
    running,
    series,
    service_settings,
    services,
    until,
)
from slicewise.audit_log.records import Arm
from slicewise.errors import AuditError
from slicewise.service.prediction import engine as engine_module
from slicewise.service.prediction import uploads


def test_a_full_service_says_when_to_come_back(tmp_path, monkeypatch):
    with running(service_settings(tmp_path, queue_size=2)) as client:
        gate = Gate(services(client).engine.main, monkeypatch)
        with ThreadPoolExecutor(2) as pool:
            let_in = [pool.submit(client.post, "/v1/predict", files=files(png(0)))]
            gate.reached.wait(10)
            let_in.append(pool.submit(client.post, "/v1/predict", files=files(png(1))))
            until(lambda: services(client).engine.admission.waiting == 2)
            refused = client.post("/v1/predict", files=files(png(2)))
            gate.open.set()
            assert [one.result().status_code for one in let_in] == [200, 200]
        problem(refused, 503)
        assert int(refused.headers["retry-after"]) >= 1
        assert client.post("/v1/predict", files=files(png(2))).status_code == 200
        assert services(client).engine.admission.waiting == 0


def test_a_series_larger_than_the_queue_is_answered(tmp_path):
    with running(service_settings(tmp_path, queue_size=2, batch_size=4)) as client:
        sent = {"file": ("scan.zip", zip_bytes(series(9)))}
        assert len(client.post("/v1/predict", files=sent).json()["predictions"]) == 9


def test_more_slices_than_a_request_may_hold_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_SLICES", 8)
    with running(service_settings(tmp_path)) as client:
        sent = {"file": ("scan.zip", zip_bytes(series(9)))}
        problem(client.post("/v1/predict", files=sent), 413)


def test_more_bytes_than_there_is_room_for_are_refused(tmp_path, monkeypatch):
    settings = service_settings(tmp_path, max_upload_bytes=20_000)
    with running(settings) as client:
        services(client).engine.admission.bytes_held = 4 * 20_000
        problem(client.post("/v1/predict", files=files(png(0))), 503)


def test_what_takes_too_long_ends(tmp_path, monkeypatch):
    with running(service_settings(tmp_path, request_timeout_s=0.3)) as client:
        gate = Gate(services(client).engine.main, monkeypatch)
        response = client.post("/v1/predict", files=files(png(0)))
        gate.open.set()
        problem(response, 503)
        assert response.headers["retry-after"]
        assert not kept_in(services(client).store)


def test_nothing_is_answered_that_is_not_recorded(tmp_path, monkeypatch):
    failed: Future[None] = Future()
    failed.set_exception(AuditError("/secret/place.db: disk full"))
    with running(service_settings(tmp_path)) as client:
        monkeypatch.setattr(type(services(client).store), "submit", lambda self, rows: failed)
        response = client.post("/v1/predict", files=files(png(0)))
        assert "secret" not in response.text
        assert "probabilities" not in response.text
        problem(response, 503)


def test_an_answer_that_cannot_be_kept_is_a_fault_of_ours_on_its_input(tmp_path, monkeypatch):
    summary_of = uploads.summary_of

    def endless(ready):
        wrong = {"mean": float("inf")} if ready.slice_.source == "slice0.png" else {}
        return {**summary_of(ready), **wrong}

    monkeypatch.setattr(uploads, "summary_of", endless)
    with running(service_settings(tmp_path)) as client:
        with capture_logs() as logged:
            said = client.post("/v1/predict", files=files(png(0), png(1))).json()
        assert [one["source"] for one in said["predictions"]] == ["slice1.png"]
        assert [one["source"] for one in said["errors"]] == ["slice0.png"]
        assert "fault of SliceWise" in said["errors"][0]["error"]
        assert [one["event"] for one in logged].count("failure on an input") == 1
        problem(client.post("/v1/predict", files=files(png(0))), 500)


def test_the_answer_waits_for_the_record(tmp_path, monkeypatch):
    with running(service_settings(tmp_path)) as client:
        store = services(client).store
        submit, on_disk = type(store).submit, []

        def late(self, rows):
            done: Future[None] = Future()

            def write():
                time.sleep(0.3)
                submit(self, rows).result()
                on_disk.append(True)
                done.set_result(None)

            threading.Thread(target=write).start()
            return done

        monkeypatch.setattr(type(store), "submit", late)
        assert client.post("/v1/predict", files=files(png(0))).status_code == 200
        assert on_disk == [True]  # before the answer was here, not some time later


def test_the_disk_works_while_pictures_are_drawn(tmp_path, monkeypatch):
    with running(service_settings(tmp_path)) as client:
        store, order = services(client).store, []
        submit, draw = type(store).submit, engine_module.draw

        def tell_submit(self, rows):
            order.append("submitted")
            return submit(self, rows)

        def tell_draw(*given):
            time.sleep(0.1)
            order.append("drawn")
            return draw(*given)

        monkeypatch.setattr(type(store), "submit", tell_submit)
        monkeypatch.setattr(engine_module, "draw", tell_draw)
        said = client.post("/v1/predict?explain=true", files=files(png(0))).json()
        assert order == ["submitted", "drawn"]
        assert store.get(said["id"]).label == said["label"]


def test_many_clients_get_their_own_answers(tmp_path):
    with running(service_settings(tmp_path)) as client:
        sent = [png(i % 4, seed=i) for i in range(12)]
        alone = [client.post("/v1/predict", files=files(one)).json() for one in sent]

        def ask(i):
            how = {"explain": True} if i % 3 == 0 else {}
            return client.post("/v1/predict", files=files(sent[i % 12]), params=how).json()

        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(ask, range(48)))
        for i, said in enumerate(together):
            assert said["label"] == alone[i % 12]["label"]
            assert said["decision"] == alone[i % 12]["decision"]
            assert said["probabilities"] == pytest.approx(alone[i % 12]["probabilities"], abs=1e-5)
        assert len({said["id"] for said in together}) == 48
        assert len(kept_in(services(client).store)) == 60


def test_a_challenger_answers_its_share_and_always_the_same_inputs(tmp_path, rival):
    settings = service_settings(tmp_path, challenger=rival, challenger_share=0.5)
    with running(settings) as client:
        sent = [png(i % 4, seed=i, side=64) for i in range(16)]
        first, second = (
            [client.post("/v1/predict", files=files(one)).json()["bundle"]["name"] for one in sent]
            for _ in range(2)
        )
        arms = [row.arm for row in kept_in(services(client).store)][:16]
    assert first == second
    assert set(first) == {"tiny", "rival"}
    assert arms == ["challenger" if name == "rival" else "main" for name in first]


def test_a_challenger_of_another_task_is_refused_at_the_start(tmp_path):
    from slicewise.errors import ConfigError

    other = tmp_path / "other"
    other.mkdir()
    task = bundle_info().task.model_copy(update={"negative_class": None})
    write_tiny_bundle(other, task=task)
    with (
        pytest.raises(ConfigError, match="classes"),
        running(service_settings(tmp_path, challenger=other)),
    ):
        pass


def test_a_thread_that_nobody_waits_for_keeps_its_place_until_it_ends(tmp_path, monkeypatch):
    go_on = threading.Event()
    decode = uploads.read_inputs

    def slow(entries, limits, **how):
        for item in decode(entries, limits, **how):
            go_on.wait(10)
            yield item

    monkeypatch.setattr(uploads, "read_inputs", slow)
    with running(service_settings(tmp_path, request_timeout_s=0.3)) as client:
        control, prepared = services(client).engine.admission, []
        monkeypatch.setattr(services(client).engine.main, "prepare", prepared.append)
        problem(client.post("/v1/predict", files=files(png(0), png(1))), 503)
        assert control.waiting == 1
        assert control.bytes_held > 0
        go_on.set()
        until(lambda: (control.waiting, control.bytes_held, control.pixels_held) == (0, 0, 0))
        assert not prepared


def test_the_end_does_not_wait_for_a_thread_that_hangs(tmp_path, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(engine_module, "read_uploads", lambda *given: go_on.wait(10))
    started = time.monotonic()
    with running(service_settings(tmp_path, request_timeout_s=0.1, drain_s=0.3)) as client:
        problem(client.post("/v1/predict", files=files(png(0))), 503)
        started = time.monotonic()
        closing = services(client).engine.close
        client.portal.call(closing)
        assert 0.2 < time.monotonic() - started < 5
        go_on.set()


def test_a_service_whose_threads_all_hang_is_not_ready(tmp_path, monkeypatch):
    go_on, hanging = threading.Event(), []

    def hang(*given):
        hanging.append(given)
        go_on.wait(60)

    monkeypatch.setattr(engine_module, "read_uploads", hang)
    with running(service_settings(tmp_path, request_timeout_s=0.1, drain_s=0.3)) as client:
        for number, expected in ((1, 200), (2, 503)):
            problem(client.post("/v1/predict", files=files(png(0))), 503)
            until(lambda number=number: len(hanging) == number)
            time.sleep(0.2)  # longer than a request may take
            assert client.get("/readyz").status_code == expected
        go_on.set()
        until(lambda: client.get("/readyz").status_code == 200)


def test_a_service_whose_forward_pass_hangs_is_not_ready(tmp_path, monkeypatch):
    with running(service_settings(tmp_path, request_timeout_s=0.2, drain_s=0.3)) as client:
        gate = Gate(services(client).engine.main, monkeypatch)
        problem(client.post("/v1/predict", files=files(png(0))), 503)
        until(lambda: client.get("/readyz").status_code == 503)
        assert "forward passes no longer run" in client.get("/readyz").json()["detail"]
        gate.open.set()
        until(lambda: client.get("/readyz").status_code == 200)


def test_a_shadow_that_hangs_harms_nobody(tmp_path, rival, monkeypatch):
    settings = service_settings(tmp_path, challenger=rival, request_timeout_s=0.5, drain_s=0.3)
    with running(settings) as client:
        gate = Gate(services(client).engine.classifiers[Arm.CHALLENGER], monkeypatch)
        assert client.post("/v1/predict", files=files(png(0))).status_code == 200
        assert gate.reached.wait(10)
        time.sleep(0.6)  # longer than a request may take
        assert client.get("/readyz").status_code == 200
        gate.open.set()


def test_a_service_whose_queue_is_long_is_ready(tmp_path, monkeypatch):
    done, begun = threading.Semaphore(0), []

    def slow(*given):
        begun.append(given)
        done.acquire(timeout=60)

    monkeypatch.setattr(engine_module, "read_uploads", slow)
    settings = service_settings(tmp_path, request_timeout_s=1.0)
    with running(settings) as client, ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(client.post, "/v1/predict", files=files(png(0)))
        until(lambda: len(services(client).engine._working) == 4)
        time.sleep(1.1)  # two jobs have waited for longer than a request may take
        done.release(2)
        until(lambda: len(begun) == 4)
        assert client.get("/readyz").status_code == 200
        done.release(2)


def test_pictures_beyond_what_there_is_room_for_are_left_out(tmp_path):
    with running(service_settings(tmp_path)) as client:
        control = services(client).engine.admission
        others = control.answers_held = control.most_answer_bytes - 2000  # have not taken theirs
        bare = client.post("/v1/explain", files=files(png(0))).json()
        assert control.answers_held == others
        others = control.answers_held = control.most_answer_bytes - 200
        refused = client.post("/v1/explain", files=files(png(0)))
        assert control.answers_held == others
        control.answers_held = 0
        given = client.post("/v1/explain", files=files(png(0))).json()
        assert control.answers_held == 0
    problem(refused, 503)
    assert "room for 0 of this request" in bare["errors"][0]["error"]
    assert bare["predictions"][0]["heatmap"] is None
    assert given["predictions"][0]["heatmap"]


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    """A service in which one step fails for the slice of one name, as a fault of ours would."""

    @contextmanager
    def start(step, name, **settings):
        with running(service_settings(tmp_path, **settings)) as client:
            where = engine_module if step == "draw" else services(client).engine.main
            failing(step, where, name, monkeypatch)
            yield client

    return start


def failing(step, where, name, monkeypatch):
    work = getattr(where, step)

    def fails(given, *others, **named):
        slices = given if isinstance(given, list) else [given]
        if any(getattr(one, "slice_", one).source.endswith(name) for one in slices):
            raise KeyError("/secret/place")
        return work(given, *others, **named)

    monkeypatch.setattr(where, step, fails)


STEPS = ("prepare", "answer_ready")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("route", ["/v1/predict", "/v1/predict/batch", "/v1/explain"])
def test_a_fault_on_one_slice_costs_no_other(faulty, step, route):
    with faulty(step, "slice1.png") as client:
        answer = client.post(route, files=files(png(0), png(1), png(2)))
        assert answer.status_code == 200
        said = answer.json()
        assert [one["source"] for one in said["predictions"]] == ["slice0.png", "slice2.png"]
        assert [one["source"] for one in said["errors"]] == ["slice1.png"]
        assert "fault of SliceWise" in said["errors"][0]["error"]
        assert "secret" not in answer.text
        kept = [record.id for record in kept_in(services(client).store)]
        assert kept == [one["id"] for one in said["predictions"]]


@pytest.mark.parametrize("step", STEPS)
def test_a_fault_on_one_slice_of_a_series_leaves_its_study(faulty, step):
    with faulty(step, "s3.dcm", batch_size=4) as client:
        sent = {"file": ("scan.zip", zip_bytes(series(6)))}
        said = client.post("/v1/predict", files=sent).json()
        assert said["studies"][0]["study"]["slices_total"] == 5
        assert [one["source"] for one in said["errors"]] == ["scan.zip!s3.dcm"]
        assert [one.slice_index for one in kept_in(services(client).store)] == [0, 1, 2, 4, 5]


def test_a_fault_on_a_study_costs_only_its_series(faulty, monkeypatch):
    with faulty("prepare", "none") as client:
        monkeypatch.setattr(services(client).engine.main, "study", lambda *_, **__: 1 / 0)
        sent = {"file": ("scan.zip", zip_bytes({"a.png": png(0), **series(3)}))}
        said = client.post("/v1/predict", files=sent).json()
        assert [one["source"] for one in said["predictions"]] == ["scan.zip!a.png"]
        assert "fault of SliceWise" in said["errors"][0]["error"]


def test_numbers_that_are_none_are_a_fault_of_the_bundle(tmp_path, monkeypatch):
    with running(service_settings(tmp_path)) as client:
        session = services(client).engine.main._session
        run = session.run

        class Broken:
            def run(self, *given):
                return [np.full_like(numbers, np.nan) for numbers in run(*given)]

        monkeypatch.setattr(services(client).engine.main, "_session", Broken())
        told = problem(client.post("/v1/predict", files=files(png(0))), 500)["errors"]
    assert told == [
        {
            "source": "slice0.png",
            "error": "tiny: logits: expected finite numbers from the graph; got others; this is a "
            "fault of the bundle, not of the file: tell whoever runs the service",
        }
    ]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("route", ["/v1/predict", "/predict", "/classify_slice", "/api/predict"])
def test_a_fault_on_the_only_slice_is_none_of_the_caller(faulty, step, route):
    with faulty(step, "slice0.png") as client:
        answer = client.post(route, files=files(png(0)))
        assert "fault of SliceWise" in problem(answer, 500)["errors"][0]["error"]
        assert "secret" not in answer.text


def test_a_fault_on_one_slice_of_an_older_batch_costs_no_other(faulty):
    with faulty("answer_ready", "slice1.png") as client:
        said = client.post("/classify_batch", files=files(png(0), png(1))).json()
        assert (said["count"], [one["source"] for one in said["errors"]]) == (1, ["slice1.png"])


def test_a_fault_on_a_synthetic_slice_is_a_problem(faulty):
    with faulty("prepare", "synthetic.png") as client:
        problem(client.get("/api/random-test"), 500)


def test_a_fault_on_one_picture_leaves_the_answer_and_the_other_pictures(faulty):
    with faulty("draw", "slice0.png") as client:
        said = client.post("/v1/explain", files=files(png(0), png(1))).json()
        assert [one["heatmap"] is None for one in said["predictions"]] == [True, False]
        assert said["errors"][0]["source"] == "slice0.png"
        assert "without its picture: SliceWise failed" in said["errors"][0]["error"]


def test_only_so_many_slices_are_drawn_and_the_answer_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "MOST_PICTURES", 2)
    with running(service_settings(tmp_path)) as client:
        sent = {"file": ("many.zip", zip_bytes({f"{i}.png": png(i % 4, seed=i) for i in range(4)}))}
        said = client.post("/v1/predict?explain=true", files=sent).json()
    drawn = [one["heatmap"] is not None for one in said["predictions"]]
    assert drawn == [True, True, False, False]
    (told,) = said["errors"]
    assert told["source"] == said["predictions"][2]["source"]
    assert "like 1 after it" in told["error"]


def test_a_record_is_finished_though_nobody_waits_for_it(tmp_path, monkeypatch):
    late: Future[None] = Future()
    with running(service_settings(tmp_path, request_timeout_s=0.5)) as client:
        monkeypatch.setattr(type(services(client).store), "submit", lambda self, rows: late)
        problem(client.post("/v1/predict", files=files(png(0))), 503)
        assert not late.cancelled()
        late.set_result(None)


def test_a_shadow_answers_for_the_record_only(tmp_path, rival):
    with running(service_settings(tmp_path, challenger=rival)) as client:
        said = client.post("/v1/predict", files=files(png(0))).json()
        assert said["bundle"]["name"] == "tiny"
        store = services(client).store
        until(lambda: kept_in(store, arm="shadow"))
        (shadow,) = kept_in(store, arm="shadow")
        (main,) = kept_in(store, arm="main")
    assert shadow.bundle[0] == "rival"
    assert shadow.threshold == 0.2
    assert (shadow.request_id, shadow.input_sha256) == (main.request_id, main.input_sha256)
    assert (shadow.shadow_of, main.shadow_of) == (main.id, None)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("route", ["/v1/predict", "/v1/predict/batch", "/v1/explain"])
def test_a_bundle_that_is_named_answers_with_no_shadow_beside_it(tmp_path, rival, route, share):
    settings = service_settings(tmp_path, challenger=rival, challenger_share=share)
    names = {"main": "tiny", "challenger": "rival"}
    with running(settings) as client:
        for arm, name in names.items():
            sent = files(png(0), png(1))
            given = {"params": {"arm": arm}} if name == "tiny" else {"data": {"arm": arm}}
            said = client.post(route, files=sent, **given).json()["predictions"]
            assert {one["bundle"]["name"] for one in said} == {name}
            assert {one["threshold"] for one in said} == {0.4 if name == "tiny" else 0.2}
        records = kept_in(services(client).store)
    assert [(row.arm, row.bundle[0]) for row in records] == [
        *[("main", "tiny")] * 2,
        *[("challenger", "rival")] * 2,
    ]
    assert {row.route for row in records} == {route}


def test_a_bundle_that_is_named_answers_a_whole_series(tmp_path, rival):
    with running(service_settings(tmp_path, challenger=rival)) as client:
        sent = {"file": ("scan.zip", zip_bytes(series(4)))}
        said = client.post("/v1/explain?arm=challenger", files=sent).json()
        assert {one["bundle"]["name"] for one in said["predictions"]} == {"rival"}
        assert said["studies"][0]["bundle"]["name"] == "rival"
        assert {row.arm for row in kept_in(services(client).store)} == {"challenger"}


def test_a_named_bundle_is_held_to_its_own_classes_only(tmp_path, rival, monkeypatch):
    settings = service_settings(tmp_path, challenger=rival, challenger_share=0.5)
    with running(settings) as client:
        monkeypatch.setattr(
            services(client).engine.classifiers[Arm.CHALLENGER], "threshold", lambda given: 1 / 0
        )
        assert client.post("/v1/predict?arm=main", files=files(png(0))).status_code == 200


def test_a_failing_shadow_harms_nobody(tmp_path, rival, monkeypatch):
    with running(service_settings(tmp_path, challenger=rival)) as client, capture_logs() as logged:
        engine = services(client).engine
        monkeypatch.setattr(engine.classifiers[Arm.CHALLENGER], "prepare", lambda slice_: 1 / 0)
        for _ in range(3):
            assert client.post("/v1/predict", files=files(png(0))).status_code == 200
        until(lambda: [one["event"] for one in logged].count("shadow failed") == 3)
        assert not kept_in(services(client).store, arm="shadow")


@pytest.mark.parametrize("step", STEPS)
def test_a_slice_that_fails_the_shadow_costs_it_no_other(tmp_path, rival, monkeypatch, step):
    settings = service_settings(tmp_path, challenger=rival, batch_size=2)
    with running(settings) as client, capture_logs() as logged:
        engine, store = services(client).engine, services(client).store
        failing(step, engine.classifiers[Arm.CHALLENGER], "s1.dcm", monkeypatch)
        sent = {"file": ("scan.zip", zip_bytes({**series(4), "z.png": png(0)}))}
        said = client.post("/v1/predict", files=sent).json()["predictions"]
        wanted = {one["id"] for one in said if not one["source"].endswith("s1.dcm")}
        assert len(wanted) == 4
        until(lambda: {row.shadow_of for row in kept_in(store, arm="shadow")} == wanted)
        assert [one["event"] for one in logged].count("shadow failed") == 1


def test_a_long_series_runs_in_shadow_and_its_pixels_are_counted(tmp_path, rival, monkeypatch):
    monkeypatch.setattr(engine_module, "MOST_SHADOWED", 4)
    with running(service_settings(tmp_path, challenger=rival, batch_size=4)) as client:
        engine = services(client).engine
        gate = Gate(engine.classifiers[Arm.CHALLENGER], monkeypatch)
        sent = {"file": ("scan.zip", zip_bytes(series(9)))}
        assert client.post("/v1/predict", files=sent).status_code == 200
        assert gate.reached.wait(10)
        assert (engine.admission.waiting, engine.admission.pixels_held) == (0, 9 * 96 * 96)
        with capture_logs() as logged:
            assert client.post("/v1/predict", files=files(png(0))).status_code == 200
        assert [one["slices"] for one in logged if one["event"] == "shadow skipped"] == [1]
        gate.open.set()
        until(lambda: len(kept_in(services(client).store, arm="shadow")) == 9)
        until(lambda: engine.admission.pixels_held == 0)
