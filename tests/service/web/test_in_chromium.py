"""The page in a real browser, against a real service."""

from __future__ import annotations

import base64
from contextlib import closing
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from browsers import faults_of, give, opened, pixels, wait_for_end
from builders_imaging import nifti_bytes, picture_bytes, zip_bytes
from builders_service import png, series, service_settings
from processes import serving
from proxies import PREFIX, proxy
from slicewise.audit_log.keys import KeyStore, Role
from slicewise.audit_log.store import AuditStore


def test_a_picture_is_shown_with_its_answer_and_reasons(page):
    give(page, head__png=png(1))
    assert page.inner_text("#answer .label strong")
    assert page.inner_text("#answer .badge") in ("accept", "review", "reject")
    assert pixels(page)[..., :3].max() > 100
    assert "Not a medical device" in page.inner_text("#view")


def test_a_series_of_files_is_one_stack_with_a_study_answer(page):
    give(page, **{name.replace(".", "__"): one for name, one in series(9).items()})
    assert " of 9: " in page.inner_text("#where")
    assert page.locator(".profile button").count() == 9
    assert "axial" in page.inner_text("#study h3")


@pytest.mark.parametrize(
    ("name", "content", "slices"),
    [
        ("study__zip", zip_bytes(series(4)), 4),
        ("head__nii", nifti_bytes(np.random.default_rng(0).random((40, 40, 5), np.float32)), 5),
    ],
)
def test_a_zip_and_a_volume_are_scrolled(page, name, content, slices):
    give(page, **{name: content})
    assert f" of {slices}: " in page.inner_text("#where")


def test_scrolling_window_and_opacity_ask_the_service_for_nothing(page):
    give(page, **{name.replace(".", "__"): one for name, one in series(6).items()})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.focus("#canvas")
    page.keyboard.press("Home")
    shown = [pixels(page)]
    for key in ("End", "]", "}", "+", "0"):
        page.keyboard.press(key)
        shown.append(pixels(page))
    page.mouse.move(300, 500)
    page.fill("#opacity", "0")
    shown.append(pixels(page))
    for before, after in pairwise(shown):
        assert not np.array_equal(before, after)
    assert page.inner_text("#where").startswith("Slice 6 of 6: ")
    assert [url for url in asked if "readyz" not in url] == []


DROP = """([kind, name, text]) => {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name));
  const event = kind === 'paste'
    ? new ClipboardEvent('paste', { clipboardData: carried, bubbles: true })
    : new DragEvent('drop', { dataTransfer: carried, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_files_are_dropped_and_pasted(page, kind):
    page.evaluate(DROP, [kind, 'with "quotes" & ü.png', base64.b64encode(png(1)).decode()])
    wait_for_end(page, 1)
    assert page.inner_text("#answer h3") == 'with "quotes" & ü.png'


def test_a_withheld_answer_names_no_class(page):
    colours = np.zeros((96, 96, 3), np.uint8)
    colours[20:70, 20:70] = (200, 30, 60)
    give(page, photo__png=picture_bytes(colours))
    assert page.inner_text("#answer .label strong") == "Answer withheld"
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    said = " ".join(
        [page.inner_text(part) for part in ("#answer .verdict", "#where", "#visit")]
        + [page.get_attribute("#canvas", "aria-label"), page.inner_html("#report")]
    )
    assert "in colour" in said
    assert not any(name in said for name in ("Glioma", "Meningioma", "No tumor", "Pituitary"))
    assert page.locator("#answer .bars, #answer .tumor").count() == 0
    assert "withheld" in page.locator("#target option").first.inner_text()
    shown = pixels(page)
    page.select_option("#target", "glioma")
    assert not np.array_equal(shown, pixels(page))
    assert page.locator(".feedback button").all_inner_texts() == ["Send"]


def test_a_bad_file_is_told_beside_a_good_one(page):
    give(page, notes__png=b"these are words and no picture at all")
    assert "expected" in page.inner_text(".errors")
    give(page, head__png=png(0))
    assert page.inner_text("#answer .label strong")


def test_feedback_is_a_row_of_the_audit_log(page, folder):
    give(page, head__png=png(2))
    page.select_option(".feedback select", "glioma")
    page.fill(".feedback input", "left temporal")
    with page.expect_response("**/feedback") as sent:
        page.click(".feedback button:has-text('Disagree')")
    page.wait_for_selector(".feedback [role=status]:has-text('Thank you')")
    id_ = sent.value.url.split("/")[-2]
    with closing(AuditStore.open(service_settings(folder).audit_log)) as store:
        [row] = store.feedback_of(id_)
    assert (row.agree, row.label, row.note) == (False, "glioma", "left temporal")


def test_a_key_is_asked_for_and_a_wrong_one_told_and_limits(browser, tmp_path):
    with closing(KeyStore.open(service_settings(tmp_path).audit_log)) as keys:
        secret = keys.create("ward", Role.PREDICT)
    most = {"SLICEWISE_MAX_UPLOAD_BYTES": "100000"}
    with serving(tmp_path, **most) as (_, address), opened(browser, address) as page:
        give(page, head__png=png(0))
        assert "wants a key" in page.inner_text(".errors")
        for given, said in (("sw_wrong", "does not know"), (secret, "ward")):
            page.fill("#key", given)
            page.click("#keyrow button")
            page.wait_for_selector(f"#who:has-text('{said}')")
        give(page, head__png=png(0))
        assert page.inner_text("#answer .label strong")
        assert "at most 0.1 MiB in one go" in page.inner_text("#who")
        give(page, big__png=bytes(200_000))
        assert "expected at most 0.1 MiB in one go, got 0.2 MiB" in page.inner_text(".errors")
        assert secret not in page.content()


def try_out(page: Any) -> None:
    """Ask for `/healthz` in Swagger UI."""
    page.click("[id$=healthz_get] .opblock-summary")
    page.click("[id$=healthz_get] .try-out__btn")
    page.click("[id$=healthz_get] .execute")
    answered = "[id$=healthz_get] .live-responses-table .response .response-col_status"
    page.wait_for_selector(f"{answered}:has-text('200')")


def test_a_route_is_tried_out_and_no_other_host_is_asked(browser, address):
    asked: list[str] = []
    with opened(browser, address) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/docs")
        try_out(page)
        assert page.locator(".auth-wrapper .authorize").count()
        page.goto(f"{address}/redoc")
        page.wait_for_selector("h1:has-text('SliceWise')")
        page.fill("[role=search] input", "alive")
        page.wait_for_selector("[data-role='search:results'] :text('Is the process alive')")
    assert f"{address}/healthz" in asked
    assert all(one.removeprefix("blob:").startswith(f"{address}/") for one in asked)


@pytest.mark.parametrize("strips", [True, False], ids=["strips", "keeps"])
def test_below_a_path_of_a_proxy_it_works_as_well(browser, tmp_path, strips):
    with (
        serving(tmp_path, SLICEWISE_ROOT_PATH=PREFIX) as (_, service),
        proxy(service, strips=strips) as address,
        opened(browser, f"{address}{PREFIX}") as page,
    ):
        give(page, head__png=png(1))
        assert page.inner_text("#answer .label strong")
        with page.expect_popup() as reference:
            page.click("footer a")
        try_out(reference.value)


def test_it_fits_a_phone_and_the_dark(browser, address):
    look = {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"}
    with opened(browser, address, **look) as page:
        give(page, head__png=png(1))
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 25)"


def test_axe_finds_nothing_serious(page):
    give(page, head__png=png(1))
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert faults_of(page) == []


def test_settings_hold_for_the_next_file_and_the_next_visit(page):
    page.click("#choices summary")
    page.fill("[name=threshold]", "0.01")
    page.select_option("[name=chart]", "doughnut")
    page.select_option("[name=theme]", "dark")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 25)"
    give(page, head__png=png(1))
    assert page.locator("#answer .ring").count() == 1
    assert "threshold was given with the request" in page.inner_text("#answer .reasons")
    page.click("#forget")
    assert page.locator("#answer .bars").count() == 1
    assert page.input_value("[name=threshold]") == ""


def test_notes_stand_on_the_printed_report_and_are_sent_nowhere(page):
    give(page, **{name.replace(".", "__"): one for name, one in series(5).items()})
    sent = []
    page.on("request", lambda request: sent.append((request.url, request.post_data or "")))
    page.click("#takeaway summary")
    page.fill("#notes", "Bed 7, headache")
    page.click(".feedback button:has-text('Agree')")
    page.wait_for_selector(".feedback [role=status]:has-text('Thank you')")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    printed = page.inner_text("body")
    assert "Bed 7, headache" in printed
    assert "Not a medical device" in printed
    assert "This visit" not in printed
    assert page.locator("#report img").count() >= 2
    assert page.pdf().startswith(b"%PDF")
    assert sent
    assert not any("Bed 7" in part for pair in sent for part in pair)
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    give(page, other__png=png(1))
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert "Bed 7" not in page.inner_html("#report")
    page.locator(".pick").last.click()
    assert page.input_value("#notes") == "Bed 7, headache"
    page.reload()
    assert page.input_value("#notes") == ""


@pytest.mark.parametrize(
    "text", ["{", "5", '{"order": 5, "colours": "constructor", "opacity": {}}']
)
def test_what_the_browser_kept_cannot_break_the_page(page, text):
    page.evaluate(
        "(text) => { for (const key of Object.keys(localStorage)) localStorage[key] = text;"
        "localStorage['slicewise-settings:/'] = text; }",
        text,
    )
    page.reload()
    give(page, head__png=png(1))
    assert page.inner_text("#answer .label strong")
    assert page.input_value("[name=colours]") == "ember"


def test_what_was_typed_stays_while_slices_are_scrolled_back(page):
    give(page, **{name.replace(".", "__"): one for name, one in series(4).items()})
    page.fill(".feedback input", "left side")
    page.select_option("#target", "glioma")
    page.fill("#opacity", "10")
    assert page.input_value(".feedback input") == "left side"
    bars = page.locator(".profile button")
    here = page.evaluate(
        "[...document.querySelectorAll('.profile button')].findIndex((one) => one.tabIndex === 0)"
    )
    step, back = (("ArrowRight", "ArrowLeft"), ("ArrowLeft", "ArrowRight"))[here == 3]
    bars.nth(here).focus()
    page.keyboard.press(step)
    assert page.evaluate("document.activeElement.parentElement.className") == "profile"
    assert page.input_value(".feedback input") == ""
    page.keyboard.press(back)
    assert page.input_value(".feedback input") == "left side"
