from app.core.measuring.determinacy import DETERMINED_DEGREES, is_determined


def test_both_sides_must_be_determined():
    near, far = DETERMINED_DEGREES - 0.1, DETERMINED_DEGREES
    assert is_determined(near)
    assert is_determined(near, 0.0)
    assert not is_determined(near, far)
    assert not is_determined(far, near)
