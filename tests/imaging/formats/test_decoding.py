import pytest

from slicewise.errors import InputError, InternalError, LimitError
from slicewise.imaging.formats.decoding import decoding, naming


def test_a_decoders_words_are_not_repeated():
    with pytest.raises(InputError) as caught, decoding("PNG picture"):
        raise ValueError("Jane Doe")
    assert str(caught.value) == (
        "expected a readable PNG picture, got broken or truncated data (ValueError)"
    )


def test_own_errors_and_missing_packages_pass():
    with pytest.raises(LimitError, match=r"^too large$"), decoding("x"):
        raise LimitError("too large")
    with pytest.raises(ImportError), decoding("x"):
        raise ImportError("no package")


def test_name_is_put_before_the_message_once():
    with pytest.raises(LimitError, match=r"^a\.png: too large$"), naming("a.png"), naming("a.png"):
        raise LimitError("too large")


def test_member_keeps_its_longer_name():
    with pytest.raises(InputError, match=r"^a\.zip!b: broken$"), naming("a.zip"), naming("a.zip!b"):
        raise InputError("broken")


def test_a_fault_of_our_own_is_not_told_as_the_files():
    with pytest.raises(InternalError) as caught, naming("a.png"):
        None.shape  # noqa: B018  # the fault
    assert str(caught.value).startswith("a.png: SliceWise failed (AttributeError in ")
    assert "not of the file" in str(caught.value)
    assert "broken" not in str(caught.value)


@pytest.mark.parametrize("where", [decoding, naming])
def test_too_little_memory_is_a_limit(where):
    with pytest.raises(LimitError, match="fits into memory"), where("a.png"):
        raise MemoryError
