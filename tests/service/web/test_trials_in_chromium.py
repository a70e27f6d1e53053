"""The page under many hands: keys alone, two tabs, phones, odd names, a service that goes away."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from browsers import faults_of, give, held, opened, pixels
from builders import write_tiny_bundle
from builders_imaging import nifti_bytes, picture_bytes, zip_bytes
from builders_service import png, series, service_settings
from processes import serving
from slicewise.audit_log.keys import KeyStore, Role

pytestmark = pytest.mark.trials
PHONE = {"width": 390, "height": 800}
WIDE = {"width": 1280, "height": 900}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, WIDE], ids=["phone", "wide"])
def test_axe_finds_nothing_serious(browser, address, scheme, viewport):
    with opened(browser, address, viewport=viewport, color_scheme=scheme) as page:
        give(page, study__zip=zip_bytes(series(5)))
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert faults_of(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_everything_can_be_done_with_keys_alone(page):
    page.focus("#sample")
    page.keyboard.press("Enter")
    page.wait_for_selector("#visit .state:has-text('Done')")
    before = pixels(page)
    tab_to(page, "canvas")
    page.keyboard.press("]")
    assert not np.array_equal(before, pixels(page))
    tab_to(page, "opacity")
    page.keyboard.press("ArrowLeft")
    assert page.input_value("#opacity") == "59"
    tab_to(page, "target")
    page.keyboard.press("ArrowDown")
    assert page.input_value("#target") != ""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Agree":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector(".feedback [role=status]:has-text('Thank you')")


def tab_to(page, id_: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == id_:
            return
    raise AssertionError(f"{id_} is not reached by the tab key")


def test_two_tabs_do_not_disturb_each_other(browser, address):
    context = browser.new_context()
    one, other = context.new_page(), context.new_page()
    for page in (one, other):
        page.goto(address)
    for page, kind in ((one, 1), (other, 2)):
        page.set_input_files(
            "#files", [{"name": f"{kind}.png", "mimeType": "", "buffer": png(kind)}]
        )
    for page, kind in ((one, 1), (other, 2)):
        page.wait_for_selector("#visit .state:has-text('Done')")
        assert page.inner_text("#answer h3") == f"{kind}.png"
        assert page.locator("#visit > li").count() == 1
    context.close()


def test_names_of_files_are_text(page):
    name = "<img src=x onerror=document.title=1>.png"
    page.set_input_files("#files", [{"name": name, "mimeType": "", "buffer": png(1)}])
    page.wait_for_selector("#visit .state:has-text('Done')")
    assert name in page.inner_text("#visit")
    assert page.title() == "SliceWise"


def test_wheel_drag_and_touch(browser, address):
    with opened(browser, address, viewport=WIDE, has_touch=True) as page:
        give(page, study__zip=zip_bytes(series(6)))
        page.focus("#canvas")
        page.keyboard.press("Home")
        box = page.locator("#canvas").bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.move(*middle)
        page.mouse.wheel(0, 100)
        page.wait_for_selector("#where:has-text('Slice 2 of 6')")
        shown = pixels(page)
        page.mouse.down()
        page.mouse.move(middle[0] + 90, middle[1] + 40)
        page.mouse.up()
        assert not np.array_equal(shown, pixels(page))
        assert page.inner_text("#where").startswith("Slice 2 of 6: ")
        page.mouse.dblclick(*middle)
        assert np.array_equal(shown, pixels(page))


def test_a_job_is_stopped_and_asked_again(page):
    with held(page, "**/v1/predict/batch"):
        page.set_input_files("#files", [{"name": "head.png", "mimeType": "", "buffer": png(1)}])
        page.wait_for_selector("#visit .state:has-text('Answering')")
        page.click("#visit button:has-text('Cancel')")
        page.wait_for_selector("#visit .state:has-text('Cancelled')")
    assert page.locator("#visit button:has-text('Cancel')").count() == 0
    page.click("#visit button:has-text('Ask again')")
    page.wait_for_selector("#visit .state:has-text('Done')")


def test_a_service_that_goes_away_is_told(browser, tmp_path):
    with serving(tmp_path) as (process, address):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#health:has-text('is ready')")
        process.kill()
        process.wait()
        page.set_input_files("#files", [{"name": "head.png", "mimeType": "", "buffer": png(1)}])
        page.wait_for_selector(".errors:has-text('does not answer')")
        page.close()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", b""),
        ("b.png", b"\x89PNG\r\n\x1a\n" + bytes(40)),
        ("c.dcm", bytes(128) + b"DICM" + bytes(20)),
        ("d.zip", b"PK\x05\x06" + bytes(18)),
        ("e.nii.gz", b"\x1f\x8b\x08\x00" + bytes(30)),
        ("f.png", picture_bytes(np.zeros((64, 64), np.uint8))),
        ("g.txt", "Überweisung".encode()),
    ],
)
def test_a_file_that_is_no_slice_is_told_and_breaks_nothing(page, name, content):
    page.set_input_files("#files", [{"name": name, "mimeType": "", "buffer": content}])
    page.wait_for_function(
        "() => document.querySelector('#hint').textContent || "
        "['Done', 'Not answered'].includes(document.querySelector('#visit .state')?.textContent)"
    )
    said = page.inner_text("#hint") + page.inner_text("#visit") + page.inner_text("#answer")
    assert any(word in said for word in ("expected", "can be no image", "Empty", "withheld"))
    give(page, head__png=png(0))
    assert page.inner_text("#answer h3") == "head.png"


def test_a_chosen_folder_is_one_study_without_what_is_no_image(page, tmp_path):
    folder = tmp_path / "disc" / "IMAGES"
    folder.mkdir(parents=True)
    for name, content in series(5).items():
        (folder / name).write_bytes(content)
    (tmp_path / "disc" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "disc" / "autorun.inf").write_text("[autorun]")
    page.set_input_files("#folder", str(tmp_path / "disc"))
    page.wait_for_selector("#visit .state:has-text('Done')")
    assert " of 5: " in page.inner_text("#where")
    assert "2 files skipped" in page.inner_text("#hint")


def test_what_is_saved_is_what_is_shown(page, tmp_path):
    give(page, head__png=png(1))
    page.click("#takeaway summary")
    with page.expect_download() as answers:
        page.click("#json")
    [one] = json.loads(Path(answers.value.path()).read_text())["predictions"]
    assert one["headline"] == page.inner_text("#answer .label strong")
    with page.expect_download() as picture:
        page.click("#png")
    assert (one["source"], one["decision"]) == ("head.png", page.inner_text("#answer .badge"))
    assert picture.value.suggested_filename == "head.png-1.png"
    assert Path(picture.value.path()).read_bytes().startswith(b"\x89PNG")


def test_only_a_reviewer_sees_two_bundles_side_by_side(browser, tmp_path):
    write_tiny_bundle(tmp_path / "second", name="second")
    with closing(KeyStore.open(service_settings(tmp_path).audit_log)) as keys:
        secrets = {role: keys.create(role, role) for role in (Role.PREDICT, Role.REVIEW)}
    second = {"SLICEWISE_CHALLENGER": str(tmp_path / "second")}
    with serving(tmp_path, **second) as (_, address):
        for role, secret in secrets.items():
            with opened(browser, address) as page:
                page.fill("#key", secret)
                page.click("#keyrow button")
                page.wait_for_selector(f"#who:has-text('{role}')")
                give(page, head__png=png(1))
                asks = page.locator("#compared button")
                assert asks.count() == (role is Role.REVIEW)
                if role is Role.REVIEW:
                    asks.click()
                    page.wait_for_selector(".models section:nth-child(2)")
                    names = page.locator(".models h4").all_inner_texts()
                    assert [name.split()[0] for name in names] == ["tiny", "second"]


def test_a_volume_larger_than_one_answer_is_read_whole(browser, tmp_path):
    volume = np.random.default_rng(0).random((128, 128, 30), np.float32)
    most = {"SLICEWISE_PAGE_MAX_BYTES": str(2**20)}
    with serving(tmp_path, **most) as (_, address), opened(browser, address) as page:
        give(page, head__nii=nifti_bytes(volume))
        assert page.inner_text("#where").startswith("Slice")
        assert " of 30" in page.inner_text("#where")
        page.click("#visit button:has-text('Remove')")
        assert page.locator("#view").is_hidden()


def test_the_window_of_one_scan_is_not_that_of_the_next(page):
    give(page, **{name.replace(".", "__"): one for name, one in series(4).items()})
    page.focus("#canvas")
    for _ in range(30):
        page.keyboard.press("}")
    give(page, head__png=png(1))
    assert pixels(page)[..., :3].max() > 200


def test_two_patients_of_one_folder_have_their_own_names(page, tmp_path):
    for patient, uid in (("P1", "1.2.3"), ("P2", "1.2.4")):
        folder = tmp_path / "two" / patient
        folder.mkdir(parents=True)
        for name, content in series(4, uid).items():
            (folder / name).write_bytes(content)
        (folder / "LICENSE").write_text("words")
    page.set_input_files("#folder", str(tmp_path / "two"))
    page.wait_for_selector("#visit .state:has-text('Done')")
    assert "two (8 DICOM files)" in page.inner_text("#visit b")
    titles = page.locator(".pick").all_inner_texts()
    assert ["P1" in titles[0], "P2" in titles[1]] == [True, True]
    assert "P2" not in titles[0]
    assert "2 files skipped" in page.inner_text("#hint")
    with page.expect_download() as all_:
        page.click("#saveall")
    saved = json.loads(Path(all_.value.path()).read_text())
    assert sorted(one["source"].split("/")[1][:2] for one in saved["predictions"]) == (
        ["P1"] * 4 + ["P2"] * 4
    )
    assert len(saved["studies"]) == 2
