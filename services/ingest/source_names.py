"""Names of files and folders as they are compared: case, Unicode form, and words such as "images" aside."""

import re
import unicodedata
from functools import lru_cache

# Words that tell which kind of file a folder holds, not which part of the dataset: `dog_labels` goes with `dog_images`.
_ANNOTATIONS = r"ann(?:o|os|otations?)?|label(?:s|l?ed)?|xmls?|pascal|voc|b?box(?:es)?"
_IMAGES = r"ima?ges?|imgs?|pic(?:s|tures?)?|photos?|frames?|jpe?gs?|pngs?|data|dataset|files?|folder"
_KIND_OF_ANNOTATIONS = re.compile(_ANNOTATIONS)
_KIND_OF_FILE = re.compile(f"{_ANNOTATIONS}|{_IMAGES}")
# Folders of pictures that are made from images or annotations, and have their names.
_DERIVED = re.compile(
    r"masks?|trimaps?|segmentation|visuali[sz](?:ations?|ed)|vi[sz]|previews?|thumb(?:nail)?s?|overlays?|depth|drawn|debug"
)
_WORD_BORDER = re.compile(r"(?<=[^\W\d_])(?<![A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def fold(name: str) -> str:
    """Return the name in NFKC and without case and invisible letters: equal for what looks equal."""
    if name.isascii():
        return name.lower()
    composed = unicodedata.normalize("NFKC", name)
    return "".join(letter for letter in composed if unicodedata.category(letter) != "Cf").casefold()


def words(name: str) -> list[str]:
    """Return the words of a name: `trainImages`, `Train_images` and `train-images` have the same."""
    return re.findall(r"[^\W_]+", fold(_WORD_BORDER.sub(" ", name)))


@lru_cache(maxsize=65536)
def folder_names(folder: str) -> tuple[str, ...]:
    """Return the names of a key's folders without words that tell the kind of file; names of nothing else are left out.

    `annotations/dogs` and `images/dogs` are both ("dogs",), `train_labels` and `train/images` both ("train",).
    """
    names = ("_".join(without_kinds(words(name))) for name in re.split(r"[/\\]+", folder))
    return tuple(name for name in names if name)


def without_kinds(name_words: list[str]) -> list[str]:
    """Leave out the words that tell what kind of file a folder or a list holds."""
    return [word for word in name_words if not _KIND_OF_FILE.fullmatch(word)]


def holds_annotations(folder_name: str) -> bool:
    """Check whether a folder is for annotations, by its name."""
    name_words = words(folder_name)
    return any(map(_KIND_OF_ANNOTATIONS.fullmatch, name_words)) and not without_kinds(name_words)


def is_derived(folder_name: str) -> bool:
    """Check whether a folder, by its name, holds masks, previews or the like."""
    return any(map(_DERIVED.fullmatch, folder_name.split("_")))
