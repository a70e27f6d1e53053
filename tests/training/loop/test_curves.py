from __future__ import annotations

from PIL import Image

from slicewise.training.loop.curves import plot_curves

HEADER = "epoch,train_loss,val_loss,train_accuracy,lr\n"


def picture_of(folder, text: str) -> Image.Image:
    (folder / "log.csv").write_text(text)
    plot_curves(folder / "log.csv", folder / "curves.png")
    with Image.open(folder / "curves.png") as picture:
        picture.load()
        return picture


def test_curves_are_a_picture_that_changes_with_the_log(tmp_path):
    falling = picture_of(tmp_path, HEADER + "0,1.0,1.2,0.3,0.1\n1,0.5,0.9,0.6,0.05\n")
    rising = picture_of(tmp_path, HEADER + "0,0.5,1.2,0.3,0.1\n1,1.0,0.9,0.6,0.05\n")
    assert (falling.format, falling.width > 2 * falling.height) == ("PNG", True)
    assert falling.size == rising.size
    assert falling.tobytes() != rising.tobytes()


def test_missing_validations_leave_gaps(tmp_path):
    picture_of(tmp_path, HEADER + "0,1.0,,0.3,0.1\n1,0.5,0.9,0.6,0.05\n")
