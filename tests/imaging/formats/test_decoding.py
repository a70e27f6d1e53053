import logging
import os
import subprocess
import sys
import warnings
from threading import Event, Thread

import pytest

from slicewise.errors import InputError, InternalError, LimitError
from slicewise.imaging.formats.decoding import captured_stderr, decoding, naming, quiet


def test_a_decoders_words_are_not_repeated():
    with pytest.raises(InputError) as caught, decoding("PNG picture"):
        raise ValueError("Jane Doe")
    assert str(caught.value) == ("expected a readable PNG picture, got broken or truncated data")


def test_a_known_cause_stands_in_for_the_kind_of_error():
    with pytest.raises(InputError) as caught, decoding("Rows (0028,0010)", got="a damaged value"):
        raise ValueError("Jane Doe")
    assert str(caught.value) == "expected a readable Rows (0028,0010), got a damaged value"


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


class TestQuiet:
    """What the program has set counts before and after; while anything is decoded, nothing does."""

    @pytest.fixture
    def warn(self):
        def in_pydicom(message="Jane Doe"):
            code = compile("import warnings; warnings.warn(message)", "x", "exec")
            exec(code, {"__name__": "pydicom.valuerep", "message": message})  # noqa: S102

        return in_pydicom

    def test_warnings_are_kept_while_it_lasts(self, warn):
        with warnings.catch_warnings(record=True) as kept:
            warnings.simplefilter("always")
            before = list(warnings.filters)
            with quiet():
                warn()
            assert kept == []
            assert list(warnings.filters) == before
            warn("after")
        assert [str(one.message) for one in kept] == ["after"]

    @pytest.mark.parametrize("name", ["pydicom", "PIL", "PIL.TiffImagePlugin"])
    def test_records_are_kept_while_it_lasts(self, caplog, name):
        logger = logging.getLogger(name)
        with quiet():
            logger.error("Jane Doe")
        assert caplog.records == []
        assert logger.propagate
        logger.error("after")
        assert caplog.messages == ["after"]

    def test_the_last_thread_puts_back_what_the_first_changed(self):
        started, done = Event(), Event()
        before = list(warnings.filters)

        def decode():
            with quiet():
                started.set()
                done.wait(10)

        thread = Thread(target=decode)
        with quiet():
            thread.start()
            assert started.wait(10)
        assert not logging.getLogger("pydicom").propagate
        done.set()
        thread.join()
        assert logging.getLogger("pydicom").propagate
        assert list(warnings.filters) == before

    def test_a_failure_puts_it_back_too(self):
        with pytest.raises(InputError), quiet(), decoding("x"):
            raise ValueError("broken")
        assert logging.getLogger("pydicom").propagate


class TestOverheard:
    """What is printed past Python is kept; capfd is the stream of the program here."""

    def test_it_is_given_and_not_printed(self, capfd):
        with captured_stderr() as said:
            os.write(2, b"Corrupt data")
        assert said == [b"Corrupt data"]
        os.write(2, b"after")
        assert capfd.readouterr().err == "after"

    def test_a_failure_puts_the_stream_back(self, capfd):
        with pytest.raises(ZeroDivisionError), captured_stderr():
            os.write(2, b"Corrupt data"[: 1 // 0])
        os.write(2, b"after")
        assert capfd.readouterr().err == "after"

    def test_each_thread_hears_its_own(self, capfd):
        heard = {}

        def listen(name):
            with captured_stderr() as said:
                for _ in range(50):
                    os.write(2, name + b"\n")
            heard[name] = said

        threads = [Thread(target=listen, args=(name,)) for name in (b"a", b"b", b"c")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert heard == {name: [name + b"\n"] * 50 for name in (b"a", b"b", b"c")}
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize(
        "line", [b'{"event": "request"}\n', b"\x1b[2K 12 of 24", "Grüße\n".encode(), b"\rnext"]
    )
    def test_what_no_library_prints_is_passed_on(self, capfd, line):
        with captured_stderr() as said:
            os.write(2, b"ZIPDecode: Decoding error.\n" + line)
        assert said == [b"ZIPDecode: Decoding error.\n"]
        assert capfd.readouterr().err.encode() == line

    def test_a_program_may_have_no_such_stream(self):
        program = """
import os
from slicewise.imaging.formats.decoding import captured_stderr
os.close(2)
with captured_stderr() as said:
    print("decoded")
print(said)
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout == "decoded\n[]\n"
