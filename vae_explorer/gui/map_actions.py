"""Everything the window can do with the map, as data; joined to the table of `actions`."""

from __future__ import annotations

from vae_explorer.gui.actions import WITH_PICTURE, ActionRecord
from vae_explorer.latent.layers import LAYERS

MAP_ACTIONS: tuple[ActionRecord, ...] = (
    ActionRecord(
        "action.fit_map", "Fit map", "Map", "Show all codes and follow them while they move", "fit_map", "F",
        WITH_PICTURE, "fit",
    ),
    ActionRecord("action.tool_point", "Pin places", "Map", "A drag on the map sets and moves pins", "use_tool", "P",
                 WITH_PICTURE, "pin", group=1, argument="point", choice=True),
    ActionRecord("action.tool_lasso", "Select by lasso", "Map", "A drag on the map selects the codes it encloses",
                 "use_tool", "L", WITH_PICTURE, "lasso", group=1, argument="lasso", choice=True),
    ActionRecord("action.tool_rectangle", "Select by rectangle", "Map", "A drag on the map selects the codes in it",
                 "use_tool", "R", WITH_PICTURE, "rectangle", group=1, argument="rectangle", choice=True),
    ActionRecord("action.add_pin", "Add a pin", "Map", "One pin more, at the mouse or beside the last one", "add_pin",
                 "A", WITH_PICTURE, group=2),
    ActionRecord("action.next_pin", "Next pin", "Map", "Keys and sliders move the next pin", "next_pin", "N",
                 WITH_PICTURE, group=2),
    ActionRecord("action.remove_pin", "Remove pin", "Map", "Take the active pin off", "remove_pin", "Del",
                 WITH_PICTURE, group=2),
    ActionRecord("action.clear_pins", "Remove all pins", "Map", "Take every pin off, and the path with them",
                 "clear_pins", "", WITH_PICTURE, group=2),
    ActionRecord("action.play_path", "Play path", "Map", "Walk the path between the pins, or rest", "play_path",
                 "Ctrl+E", WITH_PICTURE, group=3),
    ActionRecord("action.save_path", "Save path…", "Map", "Save the path as a strip, an animation or a movie",
                 "save_path", "Ctrl+Shift+E", WITH_PICTURE, group=3),
    ActionRecord("action.straighten_path", "Straighten path", "Map", "Take the bends out of the path",
                 "straighten_path", "", WITH_PICTURE, group=3),
    ActionRecord("action.make_group", "Make a group", "Map", "Give the selected images a name", "make_group", "Ctrl+G",
                 WITH_PICTURE, group=4),
    ActionRecord("action.clear_selection", "Clear selection", "Map", "Select nothing", "clear_selection",
                 "Ctrl+Shift+A", WITH_PICTURE, group=4),
    ActionRecord("action.save_items", "Save list of selected images…", "Map",
                 "Save ids and classes of the selected images", "save_items", "", WITH_PICTURE, group=4),
    ActionRecord("action.save_directions", "Save directions…", "Map", "Save the attribute directions as JSON",
                 "save_directions", "", WITH_PICTURE, group=4),
    ActionRecord("action.load_directions", "Load directions…", "Map", "Read attribute directions from a JSON file",
                 "load_directions", "", WITH_PICTURE, group=4),
    ActionRecord("action.add_bookmark", "Bookmark this view", "Map", "Keep view, place and pins under a name",
                 "add_bookmark", "Ctrl+D", WITH_PICTURE, group=5),
    ActionRecord("action.lock_view", "Lock the view", "Map", "Keep a fitted plane as it is while training goes on",
                 "lock_view", "Ctrl+K", WITH_PICTURE, group=5),
    ActionRecord("action.play_tour", "Play the grand tour", "Map", "Turn the plane slowly through the latent space",
                 "play_tour", "Ctrl+U", WITH_PICTURE, group=5),
    ActionRecord("action.next_class", "Next class", "Map", "Decode places under the next class, in a conditional model",
                 "turn_class", "K", WITH_PICTURE, group=5, argument="1"),
    ActionRecord("action.previous_class", "Previous class", "Map",
                 "Decode places under the class before, in a conditional model", "turn_class", "Shift+K", WITH_PICTURE,
                 group=5, argument="-1"),
    ActionRecord("action.open_picture", "Open a picture…", "Map", "Put a picture of your own on the map",
                 "open_picture", "Ctrl+I", WITH_PICTURE, group=6),
    ActionRecord("action.paste_picture", "Paste a picture", "Map", "Put the picture on the clipboard on the map",
                 "paste_picture", "Ctrl+V", WITH_PICTURE, group=6),
    ActionRecord("action.save_map", "Save the map…", "Map", "Save the map as it is seen, as PNG or SVG", "save_map",
                 "Ctrl+Alt+S", WITH_PICTURE, "save", group=7),
    ActionRecord("action.copy_map", "Copy the map", "Map", "Copy the map as it is seen to the clipboard", "copy_map",
                 "Ctrl+Alt+C", WITH_PICTURE, "copy", group=7),
    ActionRecord("action.play_training", "Play the training", "Map",
                 "Go through the recorded moments of the run, or rest at one", "play_training", "Ctrl+R", WITH_PICTURE,
                 group=9),
    ActionRecord("action.present", "Back to the present", "Map", "Look at the run as it is now", "to_present",
                 "Ctrl+Shift+N", WITH_PICTURE, group=9),
    ActionRecord("action.align_moments", "Align recorded moments", "Map",
                 "Turn recorded moments so that the map does not spin", "align_moments", "", WITH_PICTURE, group=9,
                 toggle=True),
    ActionRecord("action.save_training", "Save the training as a movie…", "Map",
                 "Save the map of all recorded moments as an animation or a movie", "save_training", "Ctrl+Alt+E",
                 WITH_PICTURE, group=9),
)  # fmt: skip


def layer_records() -> tuple[ActionRecord, ...]:
    """An action for each layer: 1 is the topmost, as in the panel."""
    return tuple(
        ActionRecord(
            f"action.layer_{record.name}", record.title, "Map/Layers", record.summary, "switch_layer", f"Alt+{number}",
            WITH_PICTURE, group=8, argument=record.name, toggle=True,
        )
        for number, record in enumerate(reversed(tuple(LAYERS)), start=1)
    )  # fmt: skip
