"""How often the training sees images of rare classes."""

from slipway.run.from_data.class_repeats import choose_class_repeats


def test_classes_of_similar_frequency_are_seen_once():
    repeats, reason = choose_class_repeats({"duck": 100, "heron": 10})
    assert repeats == {}
    assert reason == "'duck' is in 100 images, 'heron' in 10: no class is 10 times rarer than another"


def test_rare_classes_are_seen_more_often_the_rarer_the_more_and_four_times_at_most():
    repeats, reason = choose_class_repeats({"duck": 400, "swan": 100, "heron": 25, "kingfisher": 2, "pike": 0})
    assert repeats == {"heron": 2.0, "kingfisher": 4.0}
    assert reason == "'duck' is in 400 images, 'kingfisher' in 2: images of rare classes are seen more often"


def test_split_without_boxes_has_no_rare_class():
    assert choose_class_repeats({}) == ({}, "no boxes are known")
