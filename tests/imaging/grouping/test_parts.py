from slicewise.imaging.grouping.parts import natural


def test_numbers_in_names_count_as_numbers():
    names = [
        "IM10",
        "IM2",
        "IM1",
        "b/IM3",
        "a/IM20",
        "IM2b",
        "IM",
        "7",
        "IM002",
        "IM\N{SUPERSCRIPT TWO}",
    ]
    assert sorted(names, key=natural) == [
        *("7", "IM", "IM1", "IM2", "IM002", "IM2b", "IM10", "IM\N{SUPERSCRIPT TWO}"),
        *("a/IM20", "b/IM3"),
    ]


def test_a_name_may_have_any_number_of_digits():
    long = "9" * 10_000
    assert natural(f"IM{long}") < natural(f"IM1{long}")
