"""The panel `panel.run_doctor`: what is wrong with the run in plain sentences, and a button that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout

from vae_explorer.errors import UserError
from vae_explorer.gui import theme
from vae_explorer.gui.session_words import State
from vae_explorer.gui.widgets.fitted_content import FittedContent
from vae_explorer.gui.widgets.group_parts import wrapped
from vae_explorer.training.run_doctor import DOCTOR_RULES, Course, Finding, Mend, diagnose

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session

INTERVAL_MS = 1000
_SOME_IMAGES = 256
_GREY = (0.05, 0.95)
_NOTHING = "Nothing is wrong that these rules can see."
_WAITING = "The doctor looks at a run while it trains."
_WORDS = {"error": "Wrong", "warning": "Warning", "note": "Note"}


class RunDoctorPanel(QScrollArea):
    """Looks once a second while seen, and at each held-out check while not; a new warning is then told in a message."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.findings: tuple[Finding, ...] = ()
        self._told: set[str] = set()
        self._is_active = False
        self._waiting: Mend | None = None
        self._data: tuple[tuple[float, float], float] | None = None
        self.cards: list[FindingCard] = []
        self.nothing = wrapped(_WAITING)
        about = ", ".join(_inside_a_sentence(rule.title) for rule in DOCTOR_RULES)
        self.rules = wrapped(f"Watched: {about}.")
        content = FittedContent(self)
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(12, 8, 12, 12)
        self._column.setSpacing(10)
        self._column.addWidget(self.nothing)
        self._column.addStretch(1)
        self._column.addWidget(self.rules)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(content)
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.look)
        session.validated.connect(self._checked)
        session.state_changed.connect(self._follow_state)
        session.history_cleared.connect(self._start_anew)
        session.dataset_changed.connect(self._forget_data)

    def set_active(self, visible: bool) -> None:
        """Hidden, it rests between two held-out checks."""
        self._is_active = visible
        if visible:
            self._timer.start()
            self.look()
        else:
            self._timer.stop()

    @Slot()
    def look(self) -> None:
        """Ask all rules now, and show what they say."""
        start = self.session.start
        found = () if start is None else diagnose(self._course())
        self.nothing.setText(_WAITING if start is None else _NOTHING)
        self.nothing.setVisible(not found)
        if found != self.findings:
            self._show(found)

    def apply(self, mend: Mend) -> None:
        """Do what a button says: at once, or after the run has been stopped, and then train again."""
        session = self.session
        if mend.stops:
            session.stop()
        elif mend.is_live or not session.is_running:
            self._assign(mend)
            if not mend.is_live:
                session.train()
            elif session.state is State.PAUSED:
                session.resume()
        else:
            self._waiting = mend
            session.stop()

    def _assign(self, mend: Mend) -> None:
        try:
            for path, value in mend.assignments:
                self.session.edit(path, value)
        except UserError as error:
            self.session.post_error(error, near="panel.run_doctor")

    def _course(self) -> Course:
        session, start = self.session, self.session.start
        assert start is not None
        data_range, grey_share = self._of_data()
        snapshot, skipped = session.snapshot, session.history.train("skipped")
        codes_ND = None if snapshot is None else snapshot.codes_ND
        return Course(
            config=session.config if session.is_running else start.config,
            history=session.history,
            total_images=start.num_train * start.config.training.epochs,
            num_dimensions=0 if codes_ND is None else int(codes_ND.shape[1]),
            effective_beta=start.effective_beta if session.config == start.config else None,
            active_units=session.active_units,
            num_skipped=int(np.nansum(skipped)),
            data_range=data_range,
            grey_share=grey_share,
        )

    def _of_data(self) -> tuple[tuple[float, float] | None, float | None]:
        """Least and greatest value of some images as the network sees them, and the share of grey pixels."""
        dataset = self.session.dataset
        if self._data is None and dataset is not None:
            stored = dataset.images.gather(dataset.train_index_N[:_SOME_IMAGES])
            x = stored.float() if stored.is_floating_point() else stored.float() / 255
            grey = ((x > _GREY[0]) & (x < _GREY[1])).float().mean()
            self._data = (float(x.min()), float(x.max())), float(grey)
        return (None, None) if self._data is None else self._data

    def _show(self, found: tuple[Finding, ...]) -> None:
        self.findings = found
        while len(self.cards) > len(found):
            card = self.cards.pop()
            self._column.removeWidget(card)
            card.deleteLater()
        while len(self.cards) < len(found):
            self.cards.append(FindingCard(self))
            self._column.insertWidget(len(self.cards), self.cards[-1])
        for card, finding in zip(self.cards, found, strict=True):
            card.show_finding(finding)

    @Slot(object)
    def _checked(self, _validated: object) -> None:
        self.look()
        for finding in self.findings:
            if finding.severity != "note" and finding.rule not in self._told:
                self._told.add(finding.rule)
                if not self._is_active:
                    self.session.post("warning", finding.text, finding.hint, near="panel.run_doctor")

    @Slot(object)
    def _follow_state(self, state: State) -> None:
        if state is State.FINISHED and self._waiting is not None:
            mend, self._waiting = self._waiting, None
            self._assign(mend)
            self.session.train()

    @Slot()
    def _start_anew(self) -> None:
        self._told.clear()
        self._show(())

    @Slot(object)
    def _forget_data(self, _dataset: object) -> None:
        self._data = None


class FindingCard(QFrame):
    """One finding: how grave, what, what to do, and its button."""

    def __init__(self, panel: RunDoctorPanel) -> None:
        super().__init__()
        self._panel = panel
        self._finding: Finding | None = None
        self.setProperty("variant", "card")
        self.title, self.text, self.hint = QLabel(), wrapped(""), wrapped("")
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setProperty("variant", "")
        self.button = QPushButton()
        self.button.setAutoDefault(False)
        row = QHBoxLayout()
        row.addWidget(self.button)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 10)
        column.setSpacing(4)
        for widget in (self.title, self.text, self.hint):
            column.addWidget(widget)
        column.addLayout(row)
        self.button.clicked.connect(self._mend)
        theme.notifier().changed.connect(self._recolour)

    def show_finding(self, finding: Finding) -> None:
        """Another finding, or the same with newer numbers."""
        self._finding = finding
        rule = DOCTOR_RULES[finding.rule]
        self.title.setText(f"{_WORDS[finding.severity]}: {_inside_a_sentence(rule.title)}")
        self.title.setToolTip(f"{rule.summary}\n{rule.reference}")
        self.text.setText(finding.text)
        self.hint.setText(finding.hint)
        self.button.setVisible(finding.mend is not None)
        if finding.mend is not None:
            self.button.setText(finding.mend.label)
            self.button.setToolTip(_what_it_does(finding.mend))
        self._recolour(theme.current())

    @Slot()
    def _mend(self) -> None:
        if self._finding is not None and self._finding.mend is not None:
            self._panel.apply(self._finding.mend)

    @Slot(object)
    def _recolour(self, colours: theme.Theme) -> None:
        grave = self._finding is not None and self._finding.severity
        colour = {"error": colours.error, "warning": colours.warning}.get(str(grave), colours.muted)
        self.title.setStyleSheet(f"font-weight: 600; color: {colour};")


def _inside_a_sentence(title: str) -> str:
    return title if title[1].isupper() else title[0].lower() + title[1:]


def _what_it_does(mend: Mend) -> str:
    if mend.stops:
        return "Ends the run; its last checkpoint is written"
    changes = ", ".join(
        f"{path} = {value:g}" if isinstance(value, float) else f"{path} = {value}" for path, value in mend.assignments
    )
    return f"Sets {changes}" + ("" if mend.is_live else " and trains again; Ctrl+Z takes the setting back")
