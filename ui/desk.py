"""What one visitor has before them: an image, two policies' views of it, and the right policy as it was and is."""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from adaptaug import AdaptAugError, Policy
from adaptaug.ui import editor
from adaptaug.ui.advice import Advice, advise
from adaptaug.ui.logic import Comparison, Source
from adaptaug.ui.sweep import Sweeps

MOST_UNDO, MOST_VERSIONS, LONGEST_NAME = 50, 12, 40
MOST_PAGES = 100  # that are known at a time: who was away while as many came begins anew
MOST_BYTES = 150_000_000  # of pixels that all visitors' desks hold together
_PLAIN = (str, bytes, tuple, dict)  # of what a page is sent: no pixels, and two can be compared
_LONG = 200  # characters of a text that is remembered by its digest: pictures are in it
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # of glibc's mallopt
CURRENT = "="  # before the name by which the selector offers what is chosen: only a choice of another is news


class Step(NamedTuple):
    """A policy that can be gone back to, what it had begun as, and what was touched then."""

    policy: Policy
    begun: Policy
    touched: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Desk:
    """Everything that belongs to one open page. Its events run one after another and change it in place.

    `policy` is the right one as it stands, `drawn` the one its controls stand for since drawing number `drawing`,
    `begun` the one that was chosen, imported or sent, to which a reset goes back. `sent` has what the page shows, part
    by part. `looked` is the operation that is looked at alone; `versions` has the policies that were given a name.
    """

    policy: Policy
    drawn: Policy = None  # type: ignore[assignment]
    begun: Policy = None  # type: ignore[assignment]
    drawing: int = 0
    past: list[Step] = field(default_factory=list)
    ahead: list[Step] = field(default_factory=list)
    chosen: tuple[int, int] = (1, 0)
    seen: Comparison | None = None
    sent: dict[str, Any] = field(default_factory=dict)
    looked: str = ""
    versions: dict[str, Policy] = field(default_factory=dict)
    sweeps: Sweeps = field(default_factory=Sweeps)
    _advice: tuple[Source, Advice | None] | None = None
    _source: Source | None = None
    _reopen: Callable[[], Source] | None = None

    def __post_init__(self) -> None:
        self.drawn, self.begun = self.drawn or self.policy, self.begun or self.policy

    # --- the image ------------------------------------------------------------------------------------------
    @property
    def source(self) -> Source | None:
        """The image; opened again where it was given back. Raises: AdaptAugError: it is not there any more."""
        if self._source is None and self._reopen is not None:
            self._source = self._reopen()
        return self._source

    def lay(self, reopen: Callable[[], Source] | None) -> None:
        """Another image, or none. Raises: AdaptAugError: it cannot be opened, and the one before stays."""
        source = reopen() if reopen is not None else None
        self._source, self._reopen, self.seen = source, reopen, None

    def advised(self, source: Source) -> Advice | None:
        """What the image looks like; looked at once."""
        if self._advice is None or self._advice[0] is not source:
            self._advice = source, advise(source)
        return self._advice[1]

    @property
    def bytes(self) -> int:
        """Of pixels: the image's and its views'."""
        columns = self.seen.columns if self.seen is not None else ()
        views = [view for column in columns for pair in column.pairs for view in pair]
        views += self.sweeps.views()
        arrays = [pixels for view in views for pixels in (view.pixels, view.crop)]
        arrays += [self._source.pixels] if self._source is not None else []
        return sum(pixels.nbytes for pixels in arrays)

    def give_back(self) -> None:
        """Let go of pixels; should the page come back, they are read again."""
        self._source = self.seen = self._advice = None
        self.sweeps.clear()
        self.sent = {part: content for part, content in self.sent.items() if isinstance(content, _PLAIN)}

    # --- the right policy ------------------------------------------------------------------------------------
    def begin(self, policy: Policy) -> None:
        """As `replace`, where nothing was before."""
        self._draw(policy, policy)

    def replace(self, policy: Policy) -> None:
        """Another policy from elsewhere: a preset, a file, a run."""
        self._leave_behind()
        self._draw(policy, policy)

    def edit(self, changes: Any, drawing: Any) -> None:
        """What the controls say, on top of the policy they were drawn for; a slider that is dragged is one step.

        Controls of an earlier drawing are not heard: they are of another policy.
        Raises: AdaptAugError: values that the schema refuses.
        """
        if drawing != self.drawing:
            return
        new = editor.apply(self.drawn, changes)
        touched = editor.difference(self.policy, new)
        if touched and not (self.past and self.past[-1].touched == touched):
            self._leave_behind(touched)
        self.policy = new

    def undo(self) -> None:
        """The policy before the last step. Raises: AdaptAugError: there is none."""
        if not self.past:
            raise AdaptAugError("There is nothing to undo.")
        self.ahead.append(Step(self.policy, self.begun))
        back = self.past.pop()
        if self.past:  # what is edited next is a step of its own, though it were the same slider
            self.past[-1] = self.past[-1]._replace(touched=frozenset())
        self._draw(back.policy, back.begun)

    def redo(self) -> None:
        """What was undone last. Raises: AdaptAugError: there is nothing."""
        if not self.ahead:
            raise AdaptAugError("There is nothing to redo.")
        self.past.append(Step(self.policy, self.begun))
        forth = self.ahead.pop()
        self._draw(forth.policy, forth.begun)

    def keep(self, name: str, presets: Collection[str]) -> None:
        """A version of that name, beside the `presets`, is the policy as it stands, and a reset goes back to it.

        Raises: AdaptAugError: no name, or one that a preset has; too many versions.
        """
        name = " ".join(name.split())
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise AdaptAugError(
                f"version: expected a name of 1 to {LONGEST_NAME} characters to keep it under."
            )
        if name in presets:
            raise AdaptAugError(f"version: {name} is a policy of its own; take another name.")
        if len(self.versions) >= MOST_VERSIONS and name not in self.versions:
            raise AdaptAugError(
                f"version: {MOST_VERSIONS} are kept; delete one, or keep this under its name."
            )
        kept = self.policy.edit(name=name)
        self.versions = self.versions | {name: kept}
        self.replace(kept)

    def drop(self) -> None:
        """Forget the version that is the right policy, which stays as it is. Raises: AdaptAugError: it is none."""
        name = next((name for name, kept in self.versions.items() if kept == self.policy), None)
        if name is None:
            raise AdaptAugError("version: choose the one to delete as the right policy first.")
        self.versions = {other: kept for other, kept in self.versions.items() if other != name}

    def remembered(self, write: Callable[[Policy], str]) -> dict[str, Any]:
        """What a browser keeps for a reload: the policy, what it had begun as, and the versions."""
        versions = {name: write(kept) for name, kept in self.versions.items()}
        return {"policy": write(self.policy), "begun": write(self.begun), "versions": versions}

    def recall(self, had: Any, read: Callable[[str], Policy]) -> None:
        """As `remembered` had it. What cannot be read is left out: another version of the page may have written it."""
        if not isinstance(had, dict):
            return

        def policy(code: Any) -> Policy | None:
            try:
                return read(code) if isinstance(code, str) and code else None
            except AdaptAugError:
                return None

        kept = had.get("versions")
        for name, code in list(kept.items() if isinstance(kept, dict) else ())[:MOST_VERSIONS]:
            if found := policy(code):
                self.versions = self.versions | {str(name)[:LONGEST_NAME]: found}
        if stood := policy(had.get("policy")):
            self._draw(stood, policy(had.get("begun")) or stood)

    def reset(self) -> None:
        """As it was before all edits; a step that can be undone. Raises: AdaptAugError: it is."""
        if self.policy == self.begun:
            raise AdaptAugError("There is nothing to reset: the policy is as it was chosen.")
        self.replace(self.begun)

    def _leave_behind(self, touched: frozenset[tuple[str, str]] = frozenset()) -> None:
        self.past = [*self.past, Step(self.policy, self.begun, touched)][-MOST_UNDO:]
        self.ahead = []

    def _draw(self, policy: Policy, begun: Policy) -> None:
        self.policy, self.drawn, self.begun = policy, policy, begun
        self.drawing += 1

    def offer(self, policies: dict[str, Policy]) -> tuple[list[tuple[str, str]], str]:
        """(label, value) of each policy on offer and the value of the one that stands, which has its own where it
        is none of them. That value begins with CURRENT, and no other does: a page that tells us so tells no news."""
        names = {name: name for name in policies}
        standing = next((name for name, policy in policies.items() if policy == self.policy), None)
        if standing is None:
            name = self.policy.name
            label = f"{name} (not the one below)" if name in names else name
            return [(label, CURRENT + label), *names.items()], CURRENT + label
        return [(n, CURRENT + n if n == standing else n) for n in names], CURRENT + standing

    # --- the page -------------------------------------------------------------------------------------------
    def news(self, part: str, content: Any) -> bool:
        """Whether this part of the page does not show this yet; from now on it does."""
        if isinstance(content, str) and len(content) > _LONG:
            content = hashlib.blake2b(content.encode(), digest_size=16).digest()
        before = self.sent.get(part)
        self.sent[part] = content
        return before is not content and not (isinstance(content, _PLAIN) and before == content)


class Desks:
    """The desks of all visitors: whose page is closed gives its pixels back; together they are no more than
    `MOST_PAGES`, and hold no more than `MOST_BYTES`."""

    def __init__(self) -> None:
        self._desks: OrderedDict[str, tuple[Desk, int]] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, session: str, desk: Desk) -> None:
        """This visitor was answered here."""
        with self._lock:
            self._desks[session] = desk, desk.bytes
            self._desks.move_to_end(session)
            while len(self._desks) > MOST_PAGES:
                self._desks.popitem(last=False)[1][0].give_back()
            held = sum(size for _, size in self._desks.values())
            for name, (other, size) in list(self._desks.items())[:-1]:
                if held <= MOST_BYTES:
                    break
                held -= size
                other.give_back()
                self._desks[name] = other, 0

    def leave(self, session: str) -> None:
        with self._lock:
            desk, _ = self._desks.pop(session, (None, 0))
        if desk is not None:
            desk.give_back()
            _trim()


def give_memory_back() -> None:
    """Have glibc, where it is what there is, give what is large back to the system as it is freed, at this size for
    ever (it would learn to keep a photograph's megabytes), and not keep a store of memory a thread."""
    try:
        library = ctypes.CDLL(None)
        for parameter, value in ((_MMAP_THRESHOLD, 1 << 20), (_ARENA_MAX, 2)):
            library.mallopt(parameter, value)
    except (AttributeError, OSError, TypeError):
        pass


def _trim() -> None:
    """Have the C library give freed memory back to the system, where it can: else a visit's peak stays."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        pass
