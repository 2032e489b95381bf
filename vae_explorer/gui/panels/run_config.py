"""The form of a run's configuration, drawn from its metadata: no setting is known here by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QFocusEvent, QFontMetrics
from PySide6.QtWidgets import QComboBox, QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from vae_explorer.errors import SettingError
from vae_explorer.gui import theme
from vae_explorer.gui.widgets.setting_rows import SettingRow, SettingSection
from vae_explorer.training.run_config import load_preset, preset_names, sections

if TYPE_CHECKING:
    from vae_explorer.config import Value
    from vae_explorer.gui.session import Session
    from vae_explorer.training.run_config import Preset, RunConfig, Section

_LEAST_WIDTH = 284  # below it fields are too short for their values
_STILL_HERE = frozenset({Qt.FocusReason.PopupFocusReason, Qt.FocusReason.ActiveWindowFocusReason})


class RunConfigPanel(QWidget):
    """The dock `panel.run_config`; GUI thread only.

    Edits go to the session as undoable steps and the widgets follow its `config_changed`, so undo, presets
    and other windows take the same way. problem_changed(str): the first thing that is wrong in the form,
    empty when it is valid; training must not start before it is.
    """

    problem_changed = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._sections: list[SettingSection] = []
        self._presets: list[Preset] = [load_preset(name) for name in preset_names()]
        self._preset_values = [_values(preset.config) for preset in self._presets]
        self._last_problem = ""
        self._helped: SettingRow | None = None

        # A form gets no better by being wider; the room of a large window belongs to the map.
        least = max(_LEAST_WIDTH, 38 * QFontMetrics(self.font()).averageCharWidth())
        self.setMinimumWidth(least)
        self.setMaximumWidth(round(1.3 * least))
        self.presets = QComboBox()
        self.presets.setObjectName("form.preset")
        self.presets.setAccessibleName("Preset")
        self.presets.setPlaceholderText("Own settings")
        self.presets.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for preset in self._presets:
            self.presets.addItem(preset.title, preset.name)
            self.presets.setItemData(self.presets.count() - 1, preset.summary, Qt.ItemDataRole.ToolTipRole)
        self.presets.activated.connect(self._preset_chosen)
        caption = QLabel("Preset")
        caption.setProperty("variant", "header")
        caption.setBuddy(self.presets)
        self._summary = _wrapped_label("muted")
        self._note = _wrapped_label("")
        self._note.setObjectName("form.note")
        self._readout = _wrapped_label("muted")
        self._readout.setObjectName("form.readout")
        self._help = _wrapped_label("muted")
        self._help.setObjectName("form.help")
        self._help.setAlignment(Qt.AlignmentFlag.AlignTop)
        # A fixed height, so that the form does not jump from field to field.
        self._help.setFixedHeight(4 * QFontMetrics(self._help.font()).lineSpacing() + 4)

        self._content = QWidget()
        self._column = QVBoxLayout(self._content)
        self._column.setContentsMargins(0, 0, 6, 0)
        self._column.setSpacing(4)
        self._column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(self._content)
        self._area = area
        self._line = QFrame()
        self._line.setProperty("variant", "line")
        self._line.setFixedHeight(1)
        self._show_help(None)

        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 6, 6)
        column.setSpacing(5)
        for widget in (caption, self.presets, self._summary, self._note, self._readout):
            column.addWidget(widget)
        column.addWidget(area, 1)
        column.addWidget(self._line)
        column.addWidget(self._help)

        session.config_changed.connect(self._config_changed)
        session.state_changed.connect(self._state_changed)
        session.started.connect(self._show_readout)
        session.setting_marked.connect(self._show_readout)
        session.history_cleared.connect(self._show_readout)
        session.message_posted.connect(self._message_posted)
        theme.notifier().changed.connect(self._recolour)
        self._config_changed(session.config)
        self._state_changed(session.state)
        self._recolour()

    @property
    def problem(self) -> str:
        """The first thing that is wrong in the form, empty when it is valid."""
        return next((row.problem.message for row in self.rows() if row.problem is not None), "")

    def rows(self) -> list[SettingRow]:
        """All rows, in the order of the form."""
        return [row for section in self._sections for row in section.rows]

    def row(self, path: str) -> SettingRow:
        """The row of a setting's path."""
        return next(row for row in self.rows() if row.path == path)

    def commit_pending(self) -> None:
        """Hand over what was typed in the field in use but not yet confirmed; called before
        training starts.
        """
        for row in self.rows():
            if row.editor.isEnabled():
                row.commit()

    def set_active(self, visible: bool) -> None:
        """The form follows the session in any case; hidden it costs nothing."""

    # What the person does

    @Slot(str, object)
    def _edited(self, path: str, value: Value) -> None:
        try:
            if self.session.is_running:
                self.session.change_live(path, value)
            else:
                self.session.edit(path, value)
        except SettingError as error:
            self.row(path).say(error.in_one_line, "error")

    @Slot(int)
    def _preset_chosen(self, index: int) -> None:
        preset = self._presets[index]
        self.session.replace_config(preset.config, f"preset {preset.title}")
        for row in self.rows():
            row.revert()
        self._show_preset(_values(preset.config))

    @Slot()
    def _entered(self) -> None:
        row = self.sender()
        if isinstance(row, SettingRow):
            self._show_help(row)

    def _show_help(self, row: SettingRow | None) -> None:
        """What the keyboard's row means; without one the form has the whole height."""
        self._helped = row
        self._help.setText("" if row is None else row.help_text())
        self._help.setVisible(row is not None)
        self._line.setVisible(row is not None)

    @Slot()
    def _left(self) -> None:
        if not any(row.editor.hasFocus() for row in self.rows()):
            self._show_help(None)

    @Slot()
    def _problem_changed(self) -> None:
        for section in self._sections:
            section.refold()
        problem = self.problem
        if problem != self._last_problem:
            self._last_problem = problem
            self.problem_changed.emit(problem)

    # What the session says

    @Slot(object)
    def _config_changed(self, config: RunConfig) -> None:
        wanted, values = sections(config), _values(config)
        for index, section in enumerate(wanted):
            shown = self._sections[index] if index < len(self._sections) else None
            if shown is None or shown.section != section:
                self._build_section(index, section, values)
        for row in self.rows():
            row.show_value(values[row.path])
        self._show_preset(values)
        self._show_readout()
        if self._helped is not None and self._helped in self.rows():
            self._help.setText(self._helped.help_text())

    def _build_section(self, index: int, wanted: Section, values: dict[str, Value]) -> None:
        """Put a section in its place; another model brings other settings."""
        section = SettingSection(wanted, values)
        for row in section.rows:
            row.edited.connect(self._edited)
            row.problem_changed.connect(self._problem_changed)
            row.entered.connect(self._entered)
            row.editor.installEventFilter(self)
        if index < len(self._sections):
            old = self._sections[index]
            focused = next((row.path for row in old.rows if row.editor.hasFocus()), None)
            self._show_help(None)
            self._column.replaceWidget(old, section)
            self._sections[index] = section
            section.header.setChecked(old.header.isChecked())
            section.more.setChecked(old.more.isChecked())
            old.hide()
            old.deleteLater()
            if focused is not None:
                next((row.editor.setFocus() for row in section.rows if row.path == focused), None)
            self._problem_changed()
        else:
            self._sections.append(section)
            self._column.insertWidget(index, section)
        self._lock(section)

    def _lock(self, section: SettingSection) -> None:
        for row in section.rows:
            row.set_locked(self.session.is_running and not row.setting.live)

    @Slot(object)
    def _state_changed(self, _state: object) -> None:
        running = self.session.is_running
        for section in self._sections:
            self._lock(section)
        self.presets.setEnabled(not running)
        live = [row.setting.label.lower() for row in self.rows() if row.setting.live]
        named = " and ".join((", ".join(live[:-1]), live[-1])) if len(live) > 1 else "".join(live)
        text = f"While training, {named} can be changed (Enter applies). The rest is locked until the run ends."
        self._note.setText(text if live else "The settings are locked until the run ends.")
        self._note.setVisible(running)
        self._show_readout()

    @Slot()
    def _show_readout(self, _event: object = None) -> None:
        """What the recipe comes to on this data: effective beta and steps."""
        start = self.session.start
        is_true = start is not None and (self.session.is_running or self._shows_last_run())
        self._readout.setVisible(is_true)
        if start is None:
            return
        beta = start.effective_beta
        for mark in self.session.marks:
            if mark.path == "model.beta" and beta is not None:
                beta = beta * mark.new / mark.old if mark.old else mark.new
        # A loss that is no weighted KL has no such weight.
        shown = "" if beta is None else f"Effective beta {beta:.4g}, "
        lines = (f"{shown}{start.steps_per_epoch:,} steps per epoch", self.session.ancestry.sentence)
        self._readout.setText("\n".join(filter(None, lines)))
        self._readout.setToolTip(
            "The weight that the KL term has against the reconstruction, both summed over their dimensions "
            f"and averaged over images.\n{start.num_train:,} training images, {start.num_heldout:,} held out, "
            f"{start.total_steps:,} steps in all."
        )

    def _shows_last_run(self) -> bool:
        """Whether the form still says what the last run was trained with, changes on the way included."""
        start = self.session.start
        if start is None:
            return False
        trained = _values(start.config)
        trained.update((mark.path, mark.new) for mark in self.session.marks)
        return trained == _values(self.session.config)

    @Slot(object)
    def _message_posted(self, message: object) -> None:
        """A message that names a setting is shown below it."""
        near = getattr(message, "near", None)
        row = next((row for row in self.rows() if row.path == near), None)
        if row is None:
            return
        for section in self._sections:
            if row in section.rows:
                section.reveal(row)
        row.say(f"{message.text} {message.hint}".strip(), message.kind)  # type: ignore[attr-defined]

    def _show_preset(self, values: dict[str, Value]) -> None:
        config = self.session.config
        index = next((i for i, preset in enumerate(self._presets) if preset.config == config), -1)
        self.presets.setCurrentIndex(index)
        if index >= 0:
            self._summary.setText(self._presets[index].summary)
            return
        nearest, changed = min(
            (
                (preset, [path for path in values if values[path] != before.get(path)])
                for preset, before in zip(self._presets, self._preset_values, strict=True)
            ),
            key=lambda pair: len(pair[1]),
        )
        labels = {row.path: row.setting.label.lower() for row in self.rows()}
        listed = ", ".join(labels[path] for path in changed[:4]) + (
            f" and {len(changed) - 4} more" if len(changed) > 4 else ""
        )
        self._summary.setText(f"{nearest.title}, changed: {listed}.")

    @Slot()
    def _recolour(self, _theme: object = None) -> None:
        colours = theme.current()
        self._note.setStyleSheet(
            f"background: {colours.note_ground}; color: {colours.text}; border-radius: 6px; padding: 5px 8px;"
        )
        for row in self.rows():
            row.recolour()

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        """A field that the keyboard reaches is scrolled into view."""
        if event.type() == QEvent.Type.FocusIn and isinstance(watched, QWidget):
            # After the help has taken its place below the form.
            QTimer.singleShot(0, watched, lambda: self._area.ensureWidgetVisible(watched, 8, 24))
        elif isinstance(event, QFocusEvent) and event.lostFocus() and event.reason() not in _STILL_HERE:
            QTimer.singleShot(0, self, self._left)
        return super().eventFilter(watched, event)  # type: ignore[arg-type]


def _values(config: RunConfig) -> dict[str, Value]:
    """Every value by its path, all at once: `value_of` reads the metadata of all settings for each."""
    found: dict[str, Value] = {}
    for section in sections(config):
        part = getattr(config, section.name)
        for item in section.settings:
            path = f"{section.name}.{item.name}"
            found[path] = config.model_name if path == "model.name" else getattr(part, item.name)
    return found


def _wrapped_label(variant: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    if variant:
        label.setProperty("variant", variant)
    return label
