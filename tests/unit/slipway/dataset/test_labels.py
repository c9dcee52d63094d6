import pytest

from slipway.dataset.labels import LabelMap, decode_label_map
from slipway.errors import InputError


def test_labels_are_numbered_from_one_in_the_order_of_their_names():
    labels = LabelMap.from_labels(["ship", "buoy", "ship"])
    assert (labels.id("buoy"), labels.id("ship"), labels.name(1), len(labels)) == (1, 2, "buoy", 2)


def test_dump_is_the_tutorials_pbtxt():
    assert LabelMap(("buoy", "ship")).dump() == (
        'item {\n  id: 1\n  name: "buoy"\n}\n\nitem {\n  id: 2\n  name: "ship"\n}\n'
    )


@pytest.mark.parametrize(
    "name", ["möwe", "red ship", "it's", 'the "Anna"', "a\\b", "a{b}", "item { id: 3 }", "# 1", "a\tb\nc", "船"]
)
def test_parse_reads_back_any_name_that_dump_writes(name):
    assert LabelMap.parse(LabelMap((name, "other")).dump()).names == (name, "other")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("item { name: 'b' id: 2 }\nitem{id:1 name:'a'}", ("a", "b"), id="any-order"),
        pytest.param("item {\n  id: 1\n  name: 'a'\n  display_name: 'An a'\n}", ("a",), id="more-fields"),
        pytest.param("item: { id: 1, name: 'a'; },", ("a",), id="separators"),
        pytest.param("# item { id: 9 name: 'z' }\nitem { id: 1 # it's\n name: 'a' }", ("a",), id="comments"),
        pytest.param(r"item { id: 1 name: 'M\303\266we' }", ("Möwe",), id="octal-as-tensorflow-writes"),
        pytest.param(r"""item { id: 1 name: "it\'s \x41" }""", ("it's A",), id="escapes"),
        pytest.param("item < id: 1 name: '<a>' >", ("<a>",), id="angle-brackets"),
        pytest.param("item { id: 1 name: 'a' 'b' \"c\" }", ("abc",), id="strings-side-by-side"),
        pytest.param(
            "item { id: 1 name: 'a' keypoints { id: 9 label: 'n}' } keypoints { id: 8 } }", ("a",), id="keypoints"
        ),
        pytest.param("item { id: 0 name: 'background' } item { id: 1 name: 'a' }", ("a",), id="background"),
        pytest.param("item { id: 1 display_name: 'a' }", ("a",), id="only-display-name"),
        pytest.param("\ufeffitem {\r\n id: 1\r\n name: 'a'\r\n}\r\n", ("a",), id="from-windows"),
    ],
)
def test_text_format_is_read_as_people_and_tools_write_it(text, names):
    assert LabelMap.parse(text).names == names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "map: no item found; write item { id: 1 name: 'cat' }, one a label", id="empty"),
        pytest.param("cat\ndog", "map: no item found", id="plain-list"),
        pytest.param("item { id: 1 }", "map: item {id: 1} needs id and name", id="no-name"),
        pytest.param("item { name: 'a' }", "map: item {name: 'a'} needs id and name", id="no-id"),
        pytest.param("item { id: 'a' name: 1 }", "needs id and name", id="exchanged"),
        pytest.param("item { id: 0 name: 'a' }", "ids are [0], expected 1 to 1 without gaps; 0 is", id="from-zero"),
        pytest.param("item { id: 1 name: 'a' } item { id: 3 name: 'b' }", "ids are [1, 3], expected 1 to 2", id="gap"),
        pytest.param("item { id: 1.5 name: 'a' }", "item {id: 1.5 name: 'a'} needs id and name", id="fraction"),
        pytest.param("item { id: 1\n name: 'a'\n name: 'b' }", "has two fields name; write one item a", id="two-names"),
        pytest.param("item { id: 1 name: 'a' } item { id: 2 display_name: 'b' }", "give each a name", id="mixed-names"),
        pytest.param("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", "id 1 is given twice", id="same-id"),
        pytest.param("item { id: 1 name: 'a' } item { id: 2 name: 'a' }", "a name is given twice", id="same-name"),
        pytest.param("item { id: 1 name: 'a' }\nitem { id: 2 name: 'b'", "\"item { id: 2 name: 'b'\" is no", id="cut"),
    ],
)
def test_wrong_label_map_says_what_is_wrong(text, says):
    with pytest.raises(InputError) as error_info:
        LabelMap.parse(text, "map")
    assert says in str(error_info.value)
    assert str(error_info.value).startswith("map: ")


def test_display_names_are_known_beside_names():
    labels = LabelMap.parse("item { id: 1 name: '/m/1' display_name: 'dog' }")
    assert (labels.names, labels.display_names) == (("/m/1",), ("dog",))
    assert labels == LabelMap(("/m/1",))
    assert "dog" not in labels


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_label_map_of_a_windows_editor_is_decoded(encoding):
    assert decode_label_map("café".encode(encoding), "map") == "café"


def test_label_map_in_another_encoding_is_named():
    with pytest.raises(InputError, match=r"map: is not text: .* save it as UTF-8"):
        decode_label_map("café".encode("cp1252"), "map")


def test_label_that_the_map_lacks_is_named_with_those_it_has():
    with pytest.raises(InputError, match=r"label 'fox' is not in the label map, which has \['cat', 'dog'\]"):
        LabelMap(("cat", "dog")).id("fox")


@pytest.mark.parametrize("class_id", [0, -1, 3])
def test_class_id_that_the_map_lacks_is_refused(class_id):
    with pytest.raises(InputError, match=f"class id {class_id} is not in the label map, which has 1 to 2"):
        LabelMap(("cat", "dog")).name(class_id)


def test_membership_is_of_labels():
    assert "cat" in LabelMap(("cat",))
    assert "Cat" not in LabelMap(("cat",))
