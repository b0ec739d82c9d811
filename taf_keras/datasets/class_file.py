"""classes.json: the classes of one's own clips, and what label maps hold of each.

{"classes": [{"name": "road", "colour": [128, 64, 128]}, …], "void": 255}

The id of a class is its `id`, or its position in the list; positions count from 1 where 0 is void.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from taf_keras.clips.clip import VOID, ClassTable
from taf_keras.clips.palette import distinct_colours
from taf_keras.datasets.text_file import parse_json, read_text
from taf_keras.errors import UserError

_CLASS = '{"name": "road", "colour": [128, 64, 128]}'
_CLASSES = f'{{"classes": [{_CLASS}, …], "void": 255}}'
_BLACK = (0, 0, 0)

Colour = tuple[int, int, int]


def class_table(data_dir: str) -> ClassTable:
    """The classes of classes.json, 1 to 255 of them, and what label maps hold of each: its id or its colour.

    A class without a colour is given one for pictures; label maps hold its id. One class is enough for an
    import of labels: `load.load_split` asks for two.

    `void` is what pixels that never count hold: an id, or a list of ids and colours. By default these are
    255, where that is no class's, and black, where label maps hold colours (`_black_is_void`).

    Raises: UserError saying what the file must hold, or naming the line or the entry with a fault.
    """
    path = Path(data_dir) / "classes.json"
    text = read_text(path, f"it holds the classes as {_CLASSES}")
    content = parse_json(text, path, lambda pairs: _object(pairs, path))
    keys = set(content) if isinstance(content, dict) else set()
    if keys - {"void"} != {"classes"} or not isinstance(content["classes"], list):
        raise UserError(f"{path}: must be {_CLASSES} and no more")
    count = len(content["classes"])
    if not 1 <= count <= VOID:
        raise UserError(f"{path}: has {count} classes; allowed are 1 to {VOID}")
    void_ids, void_colours = _void(content, path)
    names: list[str] = []
    colours, owners = {}, {}
    for position, entry in enumerate(content["classes"]):
        place = f"{path}: class {position}"
        name, colour, own_id = _class(entry, place)
        if name in names:
            raise UserError(f"{place}: an earlier one is named {name} too")
        names.append(name)
        own_id = position + (0 in (void_ids or ())) if own_id is None else own_id
        if own_id > VOID:
            raise UserError(f"{place}: its id would be {own_id}; allowed are 0 to {VOID}")
        if own_id in owners:
            earlier = names[owners[own_id]]
            raise UserError(f"{place}: has id {own_id}, as {earlier} has: give each an id of its own")
        colours[position], owners[own_id] = colour, position
    if taken := set(void_ids or ()) & set(owners):
        raise UserError(
            f"{path}: void {json.dumps(content['void'])}: {min(taken)} is the id of "
            f"{names[owners[min(taken)]]}; allowed are ids that no class has"
        )
    void_ids = {VOID} - set(owners) if void_ids is None else void_ids
    raw_colours = _raw_colours(colours, void_colours, owners, path)
    generated = iter(distinct_colours(count))
    colours = tuple(colour or next(generated) for colour in colours.values())
    return ClassTable(tuple(names), colours, owners | dict.fromkeys(void_ids, VOID), raw_colours)


def _class(entry, place: str) -> tuple[str, Colour | None, int | None]:
    """Name, colour and id of an entry; None for what it does not say."""
    keys = set(entry) if isinstance(entry, dict) else set()
    if "name" not in keys or keys - {"name", "id", "colour", "color"} or keys >= {"colour", "color"}:
        raise UserError(f'{place}: must be {_CLASS}, with "id" if label maps hold another than its position')
    name, colour, own_id = entry["name"], entry.get("colour", entry.get("color")), entry.get("id")
    if not isinstance(name, str) or not name.strip() or name.splitlines() != [name]:
        raise UserError(f"{place}: name {json.dumps(name)}: must be a text of one line")
    if keys & {"colour", "color"} and not _is_colour(colour):
        raise UserError(f"{place}: colour {json.dumps(colour)}: must be [red, green, blue], each 0 to 255")
    if "id" in keys and not _is_byte(own_id):
        raise UserError(f"{place}: id {json.dumps(own_id)}: must be a whole number, 0 to {VOID}")
    return name, colour and tuple(colour), own_id


def _void(content: dict, path: Path) -> tuple[list[int] | None, list[Colour]]:
    """Ids and colours that are void; no ids are None."""
    if "void" not in content:
        return None, []
    void = content["void"] if isinstance(content["void"], list) else [content["void"]]
    ids, colours = [i for i in void if _is_byte(i)], [tuple(c) for c in void if _is_colour(c)]
    if len(ids) + len(colours) != len(void):
        text = json.dumps(content["void"])
        raise UserError(
            f"{path}: void {text}: must be an id, 0 to {VOID}, or a list of ids and colours [r, g, b]"
        )
    return (ids if ids or not void else None), colours


def _raw_colours(
    colours: dict[int, Colour | None], void: list[Colour], owners: dict[int, int], path: Path
) -> dict[Colour, int] | None:
    """What colours mean in label maps; None where none is given, or two classes share one.

    Args:
        colours: position of a class -> the colour that it is given, if any.
        owners: id -> position of a class.
    """
    given = [(colour, position) for position, colour in colours.items() if colour]
    known = dict(given)
    if len(known) < len(given):  # colours cannot tell
        return None
    if taken := set(void) & set(known):
        colour = min(taken)
        raise UserError(f"{path}: void {list(colour)}: is the colour of class {known[colour]}")
    black = [_BLACK] if _black_is_void(colours, owners) else []
    return dict.fromkeys(void or black, VOID) | known or None


def _black_is_void(colours: dict[int, Colour | None], owners: dict[int, int]) -> bool:
    """Whether black stands for void by default: not where it may be id 0, of a class without a colour.

    A grey picture of three channels, or a palette, may hold ids. Where it holds nothing but 0, it is black.
    """
    return any(colours.values()) and (0 not in owners or colours[owners[0]] is not None)


def _is_colour(value) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_byte, value))


def _is_byte(value) -> bool:
    return type(value) is int and 0 <= value <= 255  # true of JSON is an int to isinstance


def _object(pairs: list[tuple], path: Path) -> dict:
    """An object of JSON. Of two values for one key, the reader by itself would silently keep the last."""
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise UserError(f"{path}: key {json.dumps(key)} occurs {count} times in one object")
    return dict(pairs)


def one_class(data_dir: str, classes: ClassTable) -> str:
    """Why nothing can be learnt of one class, and what to write: most often its surroundings are void."""
    (name,) = classes.names
    said = f"{Path(data_dir, 'classes.json')}: has one class, {name}"
    void = [raw for raw, train_id in classes.raw_ids.items() if train_id == VOID]
    if not void:
        return f"{said}, and nothing to tell it from: add the others"
    entry = {"id": min(void)}
    if colours := [raw for raw, train_id in (classes.raw_colours or {}).items() if train_id == VOID]:
        entry["colour"] = list(colours[0])
    taken = " and ".join(map(str, entry.values()))
    other = "object" if name == "background" else "background"
    # Positions count from 0 once 0 is not void.
    keep = f'give {name} "id": 1, ' if classes.lookup[1] == 0 and entry["id"] == 0 else ""
    return (
        f"{said}, and void: nothing to tell apart; if void is {other}, {keep}add "
        f"{json.dumps({'name': other} | entry)} and take {taken} out of void"
    )
