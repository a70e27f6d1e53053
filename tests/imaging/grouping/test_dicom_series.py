"""Files that one Series Instance UID holds together, read from a folder."""

import json
import shutil
from itertools import permutations

import numpy as np
import pytest
from pydicom.sequence import Sequence

from builders_imaging import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    dicom_bytes,
    dicom_dataset,
    group,
    written,
    zip_bytes,
)
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_inputs, read_slices
from slicewise.imaging.slice import Failure, Series

NAMES = "Patient's Name (0010,0010) or Patient's Birth Date (0010,0030)"
SPLIT = "split from one Series Instance UID (0020,000E) by"


def pixels(value, rows=16, columns=16):
    return np.full((rows, columns), value, np.uint16)


@pytest.fixture
def add(tmp_path):
    """Write one slice of equal pixels, by default the number of the file; None is no attribute."""
    count = 0

    def add(z=None, value=None, name=None, size=(16, 16), **tags):
        nonlocal count
        count += 1
        place = {} if z is None else {"ImagePositionPatient": [0, 0, z]}
        known = {"ImageOrientationPatient": list(AXIAL), **place, "InstanceNumber": count, **tags}
        said = {keyword: value for keyword, value in known.items() if value is not None}
        dataset = dicom_dataset(pixels(count if value is None else value, *size), **said)
        for keyword in known.keys() - said.keys():
            dataset.pop(keyword, None)
        path = tmp_path / (name or f"{count:03}.dcm")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written(dataset))
        return path

    return add


@pytest.fixture
def read(tmp_path):
    def read(limits=None):
        answers = list(read_inputs([tmp_path], *([limits] if limits else [])))
        series = [one for one in answers if isinstance(one, Series)]
        return series, [one for one in answers if isinstance(one, Failure)]

    return read


def words(series, place):
    """What the parts of one series are called."""
    return [one.source.removeprefix(str(place)).strip() for one in series]


def values(series):
    return [int(one.pixels[0, 0]) for one in series.slices]


class TestPatientsAndStudies:
    @pytest.mark.parametrize(
        ("one", "other", "by"),
        [
            ({"PatientID": "A"}, {"PatientID": "B"}, "Patient ID (0010,0020)"),
            (
                {"PatientID": None, "PatientName": "Doe^Jane"},
                {"PatientID": None, "PatientName": "Roe^Jane"},
                NAMES,
            ),
            (
                {"PatientID": None, "PatientBirthDate": "19500101"},
                {"PatientID": None, "PatientBirthDate": "19600101"},
                NAMES,
            ),
            (
                {"PatientID": "A", "PatientName": "Doe^Jane"},
                {"PatientID": None, "PatientName": "Roe^Jane"},
                NAMES,
            ),
            (
                {"PatientID": "ANON", "PatientName": "Doe", "PatientBirthDate": "19500101"},
                {"PatientID": "ANON", "PatientName": "Roe", "PatientBirthDate": "19600101"},
                NAMES,
            ),
            (
                {"StudyInstanceUID": "1.2.3"},
                {"StudyInstanceUID": "1.2.4"},
                "Study Instance UID (0020,000D)",
            ),
        ],
    )
    def test_two_never_make_one_series(self, add, read, tmp_path, one, other, by):
        for z in range(5):
            add(z=3 * z, **one)
            add(z=3 * z + 1, **other)
        series, failures = read()
        assert [values(each) for each in series] == [[1, 3, 5, 7, 9], [2, 4, 6, 8, 10]]
        assert [each.notes for each in series] == [(f"{SPLIT} {by}: 2 series",)] * 2
        assert words(series, tmp_path) == ["[series 1]", "[series 2]"]
        assert failures == []

    @pytest.mark.parametrize("order", list(permutations(range(4))))
    def test_the_order_of_files_makes_no_difference(self, add, read, order):
        doe, roe = {"PatientName": "Doe"}, {"PatientName": "Roe", "PatientBirthDate": "19600101"}
        said = [{}, doe, roe, {"PatientBirthDate": "19700101"}]
        nobody = dict.fromkeys(("PatientID", "PatientName", "PatientBirthDate"))
        for place in order:
            add(z=3 * place, value=place, **{**nobody, **said[place]})
        series, _ = read()
        assert sorted(sorted(values(each)) for each in series) == [[0], [1, 3], [2]]

    def test_notes_hold_nothing_of_the_patients(self, add, read):
        for patient in ("Doe^Jane", "Roe^Jane"):
            for z in range(2):
                add(
                    z=z, PatientID=None, PatientName=patient, StudyInstanceUID=f"1.2.{len(patient)}"
                )
                add(z=z, PatientID=patient, StudyInstanceUID="1.2.99")
        told = json.dumps([(one.source, one.notes) for one in read()[0]])
        assert not any(word in told for word in ("Doe", "Roe", "Jane", "1.2."))

    @pytest.mark.parametrize(
        ("tags", "others"),
        [
            ({"PatientID": "A", "PatientName": "Doe^Jane"}, {"PatientID": "A", "PatientName": "X"}),
            ({"PatientID": None, "PatientName": "Doe^Jane"}, {"PatientName": "DOE^JANE^"}),
            ({"PatientID": None, "PatientName": None}, {}),
            ({"PatientID": None}, {"PatientID": None}),
            ({"PatientID": "A "}, {"PatientID": "A"}),
            ({"StudyInstanceUID": None}, {}),
        ],
    )
    def test_one_stays_one(self, add, read, tags, others):
        for z in range(4):
            add(z=z, **(tags if z == 2 else others))
        (series,), _ = read()
        assert (len(series.slices), series.notes) == (4, ())

    def test_who_is_unknown_joins_neither_of_two(self, add, read):
        for patient in ("A", "B", None):
            for z in range(2):
                add(z=z, PatientID=patient, PatientName=None)
        assert [len(one.slices) for one in read()[0]] == [2, 2, 2]


class TestKindsOfImage:
    def test_two_echoes(self, add, read, tmp_path):
        for z in range(4):
            for echo, time in ((2, 90), (1, 20)):
                add(z=3 * z, EchoTime=time, EchoNumbers=echo, value=time)
        series, _ = read()
        assert [values(one) for one in series] == [[20] * 4, [90] * 4]
        assert words(series, tmp_path) == ["[echo 1]", "[echo 2]"]
        assert series[0].notes == (f"{SPLIT} Echo Time (0018,0081): 2 series",)

    def test_echo_numbers_alone_and_echoes_of_other_slices(self, add, read):
        for z in range(6):
            add(z=3 * z, EchoNumbers=1 + (z > 2))
        assert [len(one.slices) for one in read()[0]] == [3, 3]

    def test_rounded_echo_times_are_one(self, add, read):
        for z in range(6):
            add(z=3 * z, EchoTime=f"{2.46 + z / 1000:.4f}")
        assert [len(one.slices) for one in read()[0]] == [6]

    @pytest.mark.parametrize(
        ("one", "other", "name"),
        [
            (["ORIGINAL", "PRIMARY", "M", "ND"], ["ORIGINAL", "PRIMARY", "P", "ND"], "phase"),
            (
                ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"],
                ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"],
                "phase",
            ),
            (["ORIGINAL", "PRIMARY", "M_IR"], ["ORIGINAL", "PRIMARY", "R_IR"], "real"),
            (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "I"], "imaginary"),
        ],
    )
    def test_magnitude_and_the_other_components(self, add, read, tmp_path, one, other, name):
        for z in range(3):
            add(z=3 * z, ImageType=one)
            add(z=3 * z + 1, ImageType=other)
        series, _ = read()
        assert words(series, tmp_path) == ["[magnitude]", f"[{name}]"]
        assert [len(one.slices) for one in series] == [3, 3]

    def test_the_complex_component_may_stand_by_itself(self, add, read, tmp_path):
        for z in range(3):
            add(z=3 * z, ComplexImageComponent="MAGNITUDE")
            add(z=3 * z, ComplexImageComponent="PHASE")
        assert words(read()[0], tmp_path) == ["[magnitude]", "[phase]"]

    @pytest.mark.parametrize(
        ("kind", "name", "is_volume"),
        [
            (["DERIVED", "SECONDARY", "ADC"], "adc", True),
            (["DERIVED", "PRIMARY", "DIFFUSION", "ADC_UNSPECIFIED"], "adc", True),
            (["DERIVED", "PRIMARY", "ANGIO", "MAX_IP"], "projection", False),
            (["DERIVED", "SECONDARY", "MPR", "CSA MPR"], "reformatted", True),
            (["DERIVED", "PRIMARY", "PROJECTION IMAGE"], "projection", False),
            (["DERIVED", "PRIMARY", "MIP"], "projection", False),
            (["ORIGINAL", "PRIMARY", "LOCALIZER"], "localizer", False),
        ],
    )
    def test_derived_images_are_a_series_of_their_own(
        self, add, read, tmp_path, kind, name, is_volume
    ):
        for z in range(3):
            add(z=3 * z, ImageType=["ORIGINAL", "PRIMARY", "M"])
            add(z=3 * z + 1, ImageType=kind)
        plain, derived = read()[0]
        assert words([plain, derived], tmp_path) == ["", f"[{name}]"]
        assert (plain.is_volume, derived.is_volume) == (True, is_volume)
        assert any(note.startswith(f"{name} by Image Type (0008,0008)") for note in derived.notes)

    def test_image_types_that_repeat_positions(self, add, read, tmp_path):
        for z in range(3):
            for word in ("ONE", "TWO"):
                add(z=3 * z, ImageType=["DERIVED", "PRIMARY", "DIXON", word])
        series, _ = read()
        assert words(series, tmp_path) == ["[type 1]", "[type 2]"]
        assert [len(one.slices) for one in series] == [3, 3]

    @pytest.mark.parametrize("odd", [0, 2])
    def test_one_slice_with_another_type_stays(self, add, read, odd):
        for z in range(6):
            add(z=3 * z, ImageType=["ORIGINAL", "PRIMARY", "M", "ND"] + ["NORM"] * (z != odd))
        (series,), _ = read()
        assert (len(series.slices), series.notes) == (6, ())

    def test_sizes(self, add, read, tmp_path):
        for z in range(3):
            add(z=3 * z)
            add(z=3 * z + 1, size=(16, 24))
        series, _ = read()
        assert words(series, tmp_path) == ["[16 x 16]", "[16 x 24]"]
        assert [len({one.shape for one in each.slices}) for each in series] == [1, 1]

    @pytest.mark.parametrize(
        ("keyword", "one", "other"),
        [
            ("FrameOfReferenceUID", "1.2.9", "1.2.10"),
            ("PixelSpacing", [1, 1], [0.5, 0.5]),
            ("Modality", "MR", "CT"),
        ],
    )
    def test_what_cannot_be_stacked(self, add, read, keyword, one, other):
        for z in range(3):
            add(z=3 * z, **{keyword: one})
            add(z=3 * z + 1, **{keyword: other})
        series, _ = read()
        assert [len(one.slices) for one in series] == [3, 3]
        assert all(len(one.notes) == 1 and "2 series" in one.notes[0] for one in series)

    def test_three_planes_never_mix(self, add, read, tmp_path):
        for z in range(3):
            for plane in (AXIAL, CORONAL, SAGITTAL):
                kind = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
                add(z=9 * z, ImageOrientationPatient=list(plane), ImageType=kind)
        series, _ = read()
        assert words(series, tmp_path) == ["[axial]", "[coronal]", "[sagittal]"]
        assert [(one.plane, one.is_volume) for one in series] == [
            *(("axial", False), ("coronal", False), ("sagittal", False))
        ]

    def test_several_splits_have_one_name(self, add, read, tmp_path):
        for z in range(3):
            for plane in (AXIAL, CORONAL):
                for time in (20, 90):
                    position = [0, 3 * z, 3 * z]
                    add(
                        ImagePositionPatient=position,
                        ImageOrientationPatient=list(plane),
                        EchoTime=time,
                    )
        series, _ = read()
        assert words(series, tmp_path) == [
            *("[axial, echo 1]", "[axial, echo 2]", "[coronal, echo 1]", "[coronal, echo 2]")
        ]
        assert [len(one.notes) for one in series] == [2, 2, 2, 2]

    def test_two_oblique_planes_have_two_names(self, add, read, tmp_path):
        for degrees in (44, 50):
            angle = np.deg2rad(degrees)
            add(z=1, ImageOrientationPatient=[1, 0, 0, 0, np.cos(angle), np.sin(angle)])
        assert words(read()[0], tmp_path) == ["[oblique]", "[oblique 2]"]

    def test_rounding_of_cosines_does_not_split(self, add, read):
        for z in range(5):
            angle = np.deg2rad(10 + z / 100)
            add(z=z, ImageOrientationPatient=[1, 0, 0, 0, np.cos(angle), np.sin(angle)])
        assert len(read()[0]) == 1

    @pytest.mark.parametrize(
        "derived",
        [(0,), (3, 4, 5), (0, 5), (1, 3, 5)],
        ids=["first", "half", "ends", "every other"],
    )
    def test_derived_images_are_no_part_of_the_originals(self, add, read, tmp_path, derived):
        for z in range(6):
            kind = "DERIVED" if z in derived else "ORIGINAL"
            add(z=3 * z, value=z, ImageType=[kind, "PRIMARY", "M"])
        series, _ = read()
        found = {
            word: values(one) for word, one in zip(words(series, tmp_path), series, strict=True)
        }
        assert found == {"": sorted(set(range(6)) - set(derived)), "[derived]": list(derived)}
        assert all(f"{SPLIT} Image Type (0008,0008): 2 series" in one.notes for one in series)


class TestOneStackStaysOne:
    def test_slices_that_are_stored_turned(self, add, read):
        for z in range(4):
            turned = z % 2
            add(
                z=3 * z,
                size=(24, 16) if turned else (16, 24),
                ImageOrientationPatient=[0, 1, 0, 1, 0, 0] if turned else list(AXIAL),
                PixelSpacing=[1, 1.005] if turned else [1.005, 1],
            )
        (series,), _ = read()
        assert (values(series), series.notes) == ([1, 2, 3, 4], ())

    @pytest.mark.parametrize(
        ("keyword", "of"),
        [
            ("AcquisitionNumber", lambda z: 1 + z % 2),
            ("AcquisitionNumber", lambda z: 1 + z),
            ("AcquisitionNumber", lambda z: 1 + z // 4),
            ("TemporalPositionIdentifier", lambda z: 1 + z),
            ("TemporalPositionIdentifier", lambda z: 1 + z % 2),
            ("TriggerTime", lambda z: 37.5 * z),
            ("EchoTime", lambda z: 10 + z),
            ("EchoNumbers", lambda z: 1 + z),
            ("FrameOfReferenceUID", lambda z: f"1.2.{z}"),
            ("FrameOfReferenceUID", lambda z: "1.2.3" if z % 3 else None),
            ("PixelSpacing", lambda z: [0.5 + z / 10000, 0.5]),
            ("ImageType", lambda z: ["ORIGINAL", "PRIMARY", "M", "ND" if z else "NORM"]),
            ("ImageType", lambda z: ["ORIGINAL", "PRIMARY", "M"] if z else None),
            ("RepetitionTime", lambda z: 500 + z),
            ("Modality", lambda z: "MR" if z else None),
        ],
    )
    def test_what_differs_within_it(self, add, read, keyword, of):
        for z in range(8):
            add(z=3 * z, **{keyword: of(z)})
        (series,), _ = read()
        assert (len(series.slices), series.notes) == (8, ())

    @pytest.mark.parametrize("missing", range(1, 7))
    def test_two_acquisitions_with_a_slice_missing(self, add, read, missing):
        for z in set(range(8)) - {missing}:
            add(z=3 * z, AcquisitionNumber=1 + z % 2)
        (series,), _ = read()
        assert series.notes == ("1 gap of 6.0 mm where slices lie 3.0 mm apart",)


class TestRepeatedPositions:
    @pytest.mark.parametrize("missing", [(0, 3), (1, 3), (1, 0), (0, 9)])
    def test_a_second_run_is_a_series_of_its_own_though_a_slice_is_missing(
        self, add, read, missing
    ):
        for run in (0, 1):
            for z in range(10):
                if (run, z) != missing:
                    add(z=3 * z, value=100 * run + z)
        series, _ = read()
        expected = [[100 * r + z for z in range(10) if (r, z) != missing] for r in (0, 1)]
        assert [values(each) for each in series] == expected

    def test_a_run_that_was_stopped_early(self, add, read):
        for count in (8, 8, 5):
            for z in range(count):
                add(z=3 * z)
        assert [len(each.slices) for each in read()[0]] == [8, 8, 5]

    def test_one_repeated_slice_is_no_second_run(self, add, read):
        for z in (0, 1, 2, 2, 3, 4, 5):
            add(z=3 * z)
        (series,), _ = read()
        assert len(series.slices) == 7

    @pytest.mark.parametrize(
        ("keyword", "word"),
        [
            ("TemporalPositionIdentifier", "time"),
            ("TriggerTime", "trigger set"),
            ("AcquisitionNumber", "acquisition"),
            ("DiffusionBValue", "b-value set"),
            ("InversionTime", "inversion set"),
            ("FlipAngle", "flip angle set"),
        ],
    )
    def test_what_explains_them_splits(self, add, read, tmp_path, keyword, word):
        for z in range(4):
            for time in (3, 1, 2):
                add(z=3 * z, value=time, **{keyword: 100 * time})
        series, _ = read()
        assert [values(one) for one in series] == [[1] * 4, [2] * 4, [3] * 4]
        assert words(series, tmp_path) == [f"[{word} {number}]" for number in (1, 2, 3)]

    def test_times_of_one_slice(self, add, read):
        for time in (2, 1, 3):
            add(z=0, TemporalPositionIdentifier=time, value=time)
        assert [values(one) for one in read()[0]] == [[1], [2], [3]]

    def test_times_that_moved_a_little(self, add, read, tmp_path):
        for time in (1, 2):
            for z in range(4):
                add(z=3 * z + 0.4 * time, TemporalPositionIdentifier=time)
        assert words(read()[0], tmp_path) == ["[time 1]", "[time 2]"]

    def test_acquisitions_that_followed_the_head(self, add, read, tmp_path):
        for time in (1, 2, 3):
            for z in range(4):
                add(z=3 * z + 0.3 * time, AcquisitionNumber=time)
        assert words(read()[0], tmp_path) == [f"[acquisition {time}]" for time in (1, 2, 3)]

    def test_times_without_positions(self, add, read):
        for time, count in ((1, 4), (2, 3)):
            for _ in range(count):
                add(TemporalPositionIdentifier=time)
        assert [len(one.slices) for one in read()[0]] == [4, 3]

    def test_image_types_without_positions(self, add, read):
        for word in ("WATER", "FAT", "WATER", "FAT"):
            add(ImageType=["DERIVED", "PRIMARY", "DIXON", word])
        assert [values(one) for one in read()[0]] == [[1, 3], [2, 4]]

    def test_two_acquisitions_at_each_of_two_times(self, add, read):
        for acquisition in range(4):
            for z in range(acquisition % 2, 8, 2):
                time = acquisition // 2
                add(z=z, AcquisitionNumber=acquisition, TemporalPositionIdentifier=time)
        assert [(len(one.slices), len(one.notes)) for one in read()[0]] == [(8, 1), (8, 1)]

    def test_folders(self, add, read, tmp_path):
        for name in ("a", "b"):
            for z in range(3):
                add(z=z, name=f"{name}/{z}")
        assert words(read()[0], tmp_path) == ["[folder 1]", "[folder 2]"]

    def test_where_nothing_explains_them_the_order_of_acquisition_does(self, add, read, tmp_path):
        for time in (1, 2):
            for z in (6, 0, 3):
                add(z=z, value=10 * time + z)
        series, _ = read()
        assert [values(one) for one in series] == [[10, 13, 16], [20, 23, 26]]
        assert words(series, tmp_path) == ["[repeat 1]", "[repeat 2]"]
        assert series[0].notes == (f"{SPLIT} repeated positions: 2 series",)

    def test_unexplained_they_are_told(self, add, read):
        for z in (0, 3, 3, 6):
            add(z=z)
        (series,), _ = read()
        assert series.notes == ("2 slices share one position",)
        assert values(series) == [1, 2, 3, 4]


class TestOrder:
    def test_distances_are_told(self, add, read):
        for z in (0, 5, 15, 20):
            add(z=z)
        (series,), _ = read()
        assert series.notes == ("1 gap of 10.0 mm where slices lie 5.0 mm apart",)

    def test_a_file_that_cannot_be_read_leaves_a_gap(self, add, read):
        paths = [add(z=3 * z) for z in range(5)]
        paths[2].write_bytes(paths[2].read_bytes()[:-9])
        (series,), failures = read()
        assert (len(series.slices), len(failures)) == (4, 1)
        assert series.notes == ("1 gap of 6.0 mm where slices lie 3.0 mm apart",)

    def test_gaps_are_measured_by_slice_location_where_there_is_no_position(self, add, read):
        for location in (0, 5, 10, 20, 25):
            add(SliceLocation=location)
        (series,), _ = read()
        gap = "1 gap of 10.0 mm where slices lie 5.0 mm apart, by Slice Location (0020,1041)"
        assert series.notes[1:] == (gap,)

    def test_instance_number_where_there_is_no_position(self, add, read):
        for number in (3, 1, 10, 2):
            add(InstanceNumber=number, value=number, SliceLocation=-number)
        (series,), _ = read()
        assert values(series) == [1, 2, 3, 10]
        assert series.notes[0].startswith("ordered by Instance Number (0020,0013), because")

    def test_instance_number_where_a_position_is_missing(self, add, read):
        for number, z in ((3, 0), (1, None), (2, 9)):
            add(z=z, InstanceNumber=number, value=number)
        (series,), _ = read()
        assert values(series) == [1, 2, 3]

    @pytest.mark.parametrize("number", [None, 1])
    def test_slice_location_where_numbers_are_absent_or_equal(self, add, read, number):
        for location in (7.5, -3, 12, 0.5):
            add(InstanceNumber=number, SliceLocation=location, value=int(location + 10))
        (series,), _ = read()
        assert values(series) == [7, 10, 17, 22]
        assert series.notes[0].startswith("ordered by Slice Location (0020,1041), because")

    def test_instance_numbers_that_begin_anew_are_a_second_stack(self, add, read):
        for acquisition in (1, 2):
            for one in (1, 2, 3):
                add(InstanceNumber=one, value=10 * acquisition + one)
        series, _ = read()
        assert [values(each) for each in series] == [[11, 12, 13], [21, 22, 23]]
        by = "repeated Instance Number (0020,0013)"
        assert all(each.notes[0] == f"{SPLIT} {by}: 2 series" for each in series)

    @pytest.mark.parametrize("number", [None, 1])
    def test_names_with_numbers_where_nothing_else_tells(self, add, read, number):
        for name in (10, 9, 2, 1, 100):
            add(name=f"IM{name}", InstanceNumber=number, value=name)
        (series,), _ = read()
        assert values(series) == [1, 2, 9, 10, 100]
        assert series.notes[0].startswith("ordered by file name, because")

    def test_ties_fall_to_the_next_rule(self, add, read):
        for name, number, location in (("b", 2, 5), ("a", 2, 5), ("c", 2, 4), ("d", 1, 9)):
            value = ord(name)
            add(name=name, InstanceNumber=number, SliceLocation=location, value=value)
        (series,), _ = read()
        assert "".join(map(chr, values(series))) == "dcab"
        assert series.notes[0].startswith(
            "ordered by Instance Number (0020,0013), then Slice Location (0020,1041), "
            "then file name, because not all slices have Image Position (Patient) (0020,0032)"
        )

    def test_positions_without_an_orientation(self, add, read):
        for z in (6, 0, 3):
            add(z=z, ImageOrientationPatient=None, value=z)
        (series,), _ = read()
        assert (values(series), series.plane, series.notes) == ([0, 3, 6], None, ())

    def test_numbers_that_some_slices_lack_order_none(self, add, read):
        for name in (10, 9, 2, 1):
            add(name=f"IM{name}", InstanceNumber=name if name % 2 else None, value=name)
        (series,), _ = read()
        assert values(series) == [1, 2, 9, 10]

    def test_frames_as_they_are_stored(self, tmp_path, read):
        (tmp_path / "a.dcm").write_bytes(dicom_bytes(np.stack([pixels(v) for v in (3, 1, 2)])))
        (series,), _ = read()
        assert values(series) == [3, 1, 2]
        assert series.notes[0].startswith("ordered by frame, because")

    def test_one_slice_has_no_order(self, add, read):
        add()
        (series,), _ = read()
        assert series.notes == ()


class TestInstances:
    def test_one_uid_on_all_slices(self, add, read):
        for z in range(5):
            add(z=3 * z, SOPInstanceUID="1.2.3.9")
        (series,), failures = read()
        assert (values(series), failures) == ([1, 2, 3, 4, 5], [])
        assert series.notes == ("5 files share a SOP Instance UID (0008,0018)",)

    def test_one_uid_and_nothing_else_but_pixels(self, add, read):
        for _ in range(3):
            add(SOPInstanceUID="1.2.3.9", InstanceNumber=None)
        (series,), failures = read()
        assert (len(series.slices), failures) == (3, [])

    def test_one_uid_and_equal_pixels_at_two_positions(self, add, read):
        for z in (0, 3, 6):
            add(z=z, SOPInstanceUID="1.2.3.9", value=7)
        (series,), failures = read()
        assert (len(series.slices), failures) == (3, [])

    def test_copies_are_failures_that_name_the_first(self, add, read, tmp_path):
        paths = [add(z=3 * z, SOPInstanceUID="1.2.3.9") for z in range(3)]
        shutil.copy(paths[1], tmp_path / "copy1")
        shutil.copy(paths[1], tmp_path / "copy2")
        (series,), failures = read()
        assert values(series) == [1, 2, 3]
        assert {failure.error for failure in failures} == {
            f"expected each instance once, got a copy of {paths[1]}"
        }
        assert len(failures) == 2

    def test_a_copy_with_another_uid_is_a_repeated_position(self, add, read):
        for z, value in ((0, 1), (3, 2), (3, 2), (6, 3)):
            add(z=z, value=value)
        (series,), failures = read()
        assert (len(series.slices), failures) == (4, [])
        assert series.notes == (
            "2 slices share one position",
            "1 slice with the position and the pixels of another",
        )

    def test_a_copy_with_another_number_is_a_copy(self, add, read):
        for number in (1, 2):
            add(z=0, value=5, SOPInstanceUID="1.2.3.9", InstanceNumber=number)
        assert [len(one) for one in read()] == [1, 1]

    def test_a_copied_multi_frame_file_fails_once(self, tmp_path, read):
        data = enhanced({"echo": 20, "z": 0}, {"echo": 90, "z": 0})
        for name in ("a", "b"):
            (tmp_path / name).write_bytes(data)
        series, failures = read()
        assert ([len(one.slices) for one in series], len(failures)) == ([1, 1], 1)


def enhanced(*frames, **tags):
    """A multi-frame object; frames by `z`, `echo`, `time`, `component`, `stack` and `plane`."""
    items = []
    for frame in frames:
        content = group(StackID=str(frame.get("stack", 1)))
        if "time" in frame:
            content.TemporalPositionIndex = frame["time"]
        if "index" in frame:
            content.DimensionIndexValues = frame["index"]
        kind = group(FrameType=frame.get("type", ["ORIGINAL", "PRIMARY", "T1", "NONE"]))
        kind.ComplexImageComponent = frame.get("component", "MAGNITUDE")
        item = group(
            FrameContentSequence=Sequence([content]),
            MRImageFrameTypeSequence=Sequence([kind]),
            PlanePositionSequence=Sequence([group(ImagePositionPatient=[0, 0, frame["z"]])]),
            PlaneOrientationSequence=Sequence(
                [group(ImageOrientationPatient=list(frame.get("plane", AXIAL)))]
            ),
        )
        if "echo" in frame:
            item.MREchoSequence = Sequence([group(EffectiveEchoTime=frame["echo"])])
        items.append(item)
    volume = np.stack([pixels(frame.get("value", index)) for index, frame in enumerate(frames)])
    return dicom_bytes(volume, PerFrameFunctionalGroupsSequence=Sequence(items), **tags)


class TestMultiFrame:
    @pytest.mark.parametrize(
        ("key", "said", "names"),
        [
            ("echo", (20.0, 90.0), ["[echo 1]", "[echo 2]"]),
            ("time", (1, 2), ["[time 1]", "[time 2]"]),
            ("component", ("MAGNITUDE", "PHASE"), ["[magnitude]", "[phase]"]),
            ("stack", (1, 2), ["[stack 1]", "[stack 2]"]),
            ("plane", (AXIAL, CORONAL), ["[axial]", "[coronal]"]),
            ("index", ([1, 1], [1, 2]), ["[dimension 1]", "[dimension 2]"]),
            (
                "type",
                (["ORIGINAL", "PRIMARY", "DIFFUSION"], ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]),
                ["", "[adc]"],
            ),
        ],
    )
    def test_frames_are_divided_as_files_are(self, tmp_path, read, key, said, names):
        path = tmp_path / "e.dcm"
        frames = [
            {"z": 3 * z, key: one, "value": i} for z in range(4) for i, one in enumerate(said)
        ]
        path.write_bytes(enhanced(*frames))
        series, failures = read()
        assert words(series, path) == names
        assert [values(one) for one in series] == [[0] * 4, [1] * 4]
        assert series[0].slices[1].source == f"{path}#2"
        assert failures == []

    def test_files_that_are_stacks_of_their_own(self, tmp_path, read):
        for name in ("a", "b"):
            (tmp_path / name).write_bytes(enhanced(*({"z": 3 * z} for z in range(3))))
        series, _ = read()
        assert words(series, tmp_path) == ["[file 1]", "[file 2]"]

    def test_files_of_one_frame_are_divided_too(self, tmp_path, read):
        for z in range(3):
            for echo in (20.0, 90.0):
                (tmp_path / f"{z} {echo}").write_bytes(enhanced({"z": 3 * z, "echo": echo}))
        series, _ = read()
        assert words(series, tmp_path) == ["[echo 1]", "[echo 2]"]
        assert [[one.position_mm[2] for one in each.slices] for each in series] == [[0, 3, 6]] * 2

    def test_one_stack_in_two_files(self, tmp_path, read):
        for name in (0, 1):
            frames = ({"z": 3 * (3 * name + z)} for z in range(3))
            (tmp_path / str(name)).write_bytes(enhanced(*frames))
        (series,), _ = read()
        assert (len(series.slices), series.notes) == (6, ())

    def test_a_file_of_several_parts_is_decoded_once(self, tmp_path, read, monkeypatch):
        from slicewise.imaging import series

        decoded = []
        real = series.decode
        monkeypatch.setattr(
            series, "decode", lambda entry, *rest: decoded.append(entry) or real(entry, *rest)
        )
        frames = [{"z": z, "time": time} for z in range(3) for time in range(4)]
        (tmp_path / "e.dcm").write_bytes(enhanced(*frames))
        assert len(read()[0]) == 4
        assert len(decoded) == 1

    def test_a_broken_file_of_several_parts_fails_once(self, tmp_path, read):
        frames = [{"z": z, "time": time} for z in range(3) for time in range(4)]
        (tmp_path / "e.dcm").write_bytes(enhanced(*frames)[:-9])
        series, failures = read()
        assert (series, len(failures)) == ([], 1)
        assert "truncated" in failures[0].error

    def test_classic_frames_are_divided_from_other_files(self, tmp_path, read):
        for name, time in (("a", 20), ("b", 90)):
            volume = np.stack([pixels(time)] * 3)
            (tmp_path / name).write_bytes(dicom_bytes(volume, EchoTime=time))
        assert [values(one) for one in read()[0]] == [[20] * 3, [90] * 3]

    def test_classic_files_of_several_frames_are_stacks_of_their_own(self, tmp_path, read):
        for name, count in (("a", 3), ("b", 5)):
            (tmp_path / name).write_bytes(dicom_bytes(np.stack([pixels(count)] * count)))
        series, _ = read()
        assert [values(one) for one in series] == [[3] * 3, [5] * 5]
        assert words(series, tmp_path) == ["[file 1]", "[file 2]"]

    def test_more_frames_than_the_limit_are_refused_before_they_are_looked_at(self, tmp_path, read):
        dataset = dicom_dataset(np.stack([pixels(1)] * 2), NumberOfFrames=10**9)
        (tmp_path / "a").write_bytes(written(dataset))
        series, (failure,) = read()
        assert series == []
        assert "expected at most 4,096 images" in failure.error


class TestNoSlices:
    @pytest.mark.parametrize(
        ("kind", "what"),
        [
            (["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], "got a Siemens mosaic of many slices"),
            (["DERIVED", "SECONDARY", "SCREEN SAVE"], "got a saved screen"),
        ],
    )
    def test_they_are_refused_by_name(self, add, read, kind, what):
        for z in range(3):
            add(z=z, ImageType=kind)
        path = add(z=9)
        (series,), failures = read()
        assert (len(series.slices), series.source) == (1, str(path))
        assert all(f"expected slices, {what}" in failure.error for failure in failures)
        assert len(failures) == 3

    def test_a_mosaic_in_an_enhanced_object(self, tmp_path, read):
        kind = ["ORIGINAL", "PRIMARY", "FMRI", "MOSAIC"]
        path = tmp_path / "e.dcm"
        path.write_bytes(enhanced({"z": 0, "type": kind}, {"z": 0, "type": kind}))
        _, (failure,) = read()
        assert "mosaic" in failure.error
        with pytest.raises(Exception, match="mosaic"):
            read_slices(path)


def test_values_that_cannot_be_read_tell_nothing(add, read, tmp_path):
    for z in range(3):
        path = add(z=3 * z, EchoTime="33.25", AcquisitionNumber=1, SliceLocation=1)
        path.write_bytes(path.read_bytes().replace(b"33.25", b"x" * (1 + z) + b" " * (4 - z)))
    (series,), failures = read()
    assert (len(series.slices), series.notes, failures) == (3, (), [])


def test_a_file_without_a_size_does_not_rename_the_others(add, read, tmp_path):
    for z in range(3):
        add(z=z, Rows=None if z == 1 else 16)
    (series,), failures = read()
    assert (series.source, len(series.slices), len(failures)) == (str(tmp_path), 2, 1)


def test_limits_hold_for_the_series_that_is_split(add, read):
    for z in range(4):
        add(z=z, EchoTime=10 * (1 + z % 2))
    _, (failure,) = read(Limits(max_frames=3))
    assert "at most 3 images, got 4" in failure.error


def test_patients_are_limited_each(add, read):
    for z in range(4):
        add(z=z, PatientID=str(z % 2))
    series, failures = read(Limits(max_frames=3))
    assert ([len(one.slices) for one in series], failures) == ([2, 2], [])


def test_members_of_a_zip_are_divided_too(add, tmp_path):
    for z in range(3):
        add(z=z, EchoTime=20)
        add(z=z, EchoTime=90)
    data = zip_bytes({path.name: path.read_bytes() for path in sorted(tmp_path.iterdir())})
    (tmp_path / "all.zip").write_bytes(data)
    series = list(read_inputs([tmp_path / "all.zip"]))
    assert words(series, tmp_path / "all.zip") == ["[echo 1]", "[echo 2]"]


@pytest.mark.parametrize(
    "wild",
    [
        {"Rows": 60000, "Columns": 60000},
        {"Rows": 4, "Columns": 4},
        {"NumberOfFrames": 5000},
        {"NumberOfFrames": 4000, "Rows": 8000, "Columns": 8000},
    ],
)
def test_a_header_with_a_wild_size_costs_its_own_file_alone(add, read, wild):
    for z in range(3):
        add(z=5 * z)
    add(z=15, name="wild.dcm", **wild)
    [series], [failure] = read()
    assert len(series.slices) == 3
    assert failure.source.endswith("wild.dcm")


@pytest.mark.parametrize(
    "kind",
    ["1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.1.3.10"],
    ids=["report", "presentation state", "directory"],
)
def test_an_object_without_pixels_is_left_out_of_a_folder_and_not_where_it_is_named(
    add, tmp_path, kind
):
    add(z=0)
    dataset = dicom_dataset(pixels(1), SOPClassUID=kind)
    for keyword in ("Rows", "Columns", "PhotometricInterpretation", "PixelData"):
        del dataset[keyword]
    path = tmp_path / "SR1"
    path.write_bytes(written(dataset))
    skipped = []
    (series,) = read_inputs([tmp_path], skip=skipped.append)
    assert (values(series), skipped) == ([1], [str(path)])
    (failure,) = read_inputs([path])
    assert "without Pixel Data (7FE0,0010)" in failure.error


def test_an_image_without_its_pixels_is_a_failure_in_a_folder_too(add, read):
    add(z=0)
    path = add(z=1)
    path.write_bytes(path.read_bytes()[:400])
    assert [len(each) for each in read()] == [1, 1]
